package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-io/millstream/cluster"
)

// doctorPatience bounds one question to a member.
const doctorPatience = 10 * time.Second

// member asks the running member. id is the cluster that it should belong to, if that is known.
func (e *examination) member(id string) {
	code, health, err := e.get("/healthz")
	if err != nil {
		mend := "millstream server --data " + e.place()
		if e.dir != "" { // somebody has the directory
			mend = "millstream doctor --data " + e.dir + " --http ADDRESS, or stop the member"
		}
		e.bad("member", mend, "no member answers at %s: %v", e.addr, err)
		return
	}
	metrics := e.metrics()
	if is := metrics.cluster; id != "" && is != "" && is != id {
		e.bad("member", "millstream doctor --data "+e.dir+" --http ADDRESS", "the member at %s is of cluster %s, not %s",
			e.addr, is, id)
		return
	}
	e.wellbeing(code, health)
	e.apart()
	e.counted(metrics)
	var d cluster.DamageReport
	_, text, err := e.get("/damage")
	if err == nil {
		err = json.Unmarshal([]byte(text), &d)
	}
	if err != nil {
		e.warn("records", "", "the member does not tell what is damaged: %v", err)
		return
	}
	e.lost(d.Lost)
	e.damaged(d.Ranges, func(r cluster.DamagedRange) bool {
		return !slices.ContainsFunc(d.ReadOnly, func(p cluster.ReadOnlyPartition) bool {
			return p.Topic == r.Topic && p.Partition == r.Partition
		})
	})
	if d.Unlisted > 0 {
		e.bad("records", e.restore(), "%d more damaged ranges were found", d.Unlisted)
	}
	if len(d.Ranges) == 0 {
		e.ok("records", "readers have met no damage; with the member stopped, millstream doctor --data DIR reads all of it")
	}
}

// wellbeing tells what the member says of itself.
func (e *examination) wellbeing(code int, health string) {
	if code != http.StatusOK {
		e.bad("member", "look at its log, and restart it", "%s", health)
		return
	}
	e.ok("member", "answers at %s", e.addr)
	for line := range strings.Lines(health) {
		if says, ok := strings.CutPrefix(strings.TrimSpace(line), "note: relaxed: "); ok {
			e.relaxed(says)
		}
	}
	switch code, ready, err := e.get("/readyz"); {
	case err != nil:
		e.bad("ready", "look at its log", "readiness is not told: %v", err)
	case code != http.StatusOK:
		reasons, _, _ := strings.Cut(ready, "\nnote:")
		e.bad("ready", "", "%s", reasons)
	default:
		e.ok("ready", "it serves all that lives on it")
	}
}

// counted judges what the member counts.
func (e *examination) counted(m counts) {
	if !m.told {
		e.warn("metrics", "", "the member tells no metrics")
		return
	}
	e.space(int64(m.sum["millstream_store_free_bytes"]))
	e.openFiles("the member", uint64(m.sum["process_max_fds"]))
	if slow, told := m.sum["millstream_engine_slow_groups_total"]; slow > 0 {
		e.warn("disk", "iostat -x 1", "the disk took a second or more for %v of %v groups of writes", slow,
			m.sum["millstream_engine_group_seconds_count"])
	} else if told {
		e.ok("disk", "no group of writes took a second or more")
	}
	panics := m.sum["millstream_kafka_handler_panics_total"] + m.sum["millstream_grpc_handler_panics_total"]
	if restarts := m.sum["millstream_actors_restarts_total"]; panics+restarts > 0 {
		e.warn("faults", "look at its log for \"panic\" and report what stands there",
			"%v requests and %v actors met a fault of the program since it started, and were begun again", panics, restarts)
	}
}

// farApart is from where on two clocks tell different times: what a member answers is whole seconds.
const farApart = 5 * time.Second

// apart compares the clock of the member with the one here. Records carry the clients' time or the member's, so
// retention, windows and lookups by time go wrong where they differ.
func (e *examination) apart() {
	if e.memberTime.IsZero() {
		return
	}
	ahead := e.memberTime.Sub(e.askedAt).Round(time.Second)
	if ahead < farApart && ahead > -farApart {
		e.ok("clocks", "the member's clock and the one here agree")
		return
	}
	way := "ahead of"
	if ahead < 0 {
		ahead, way = -ahead, "behind"
	}
	e.warn("clocks", "timedatectl set-ntp true   (there and here)", "the member's clock is %s %s the one here", ahead, way)
}

// counts are metrics, summed over their labels.
type counts struct {
	told    bool
	sum     map[string]float64
	cluster string
}

var clusterLabel = regexp.MustCompile(`^millstream_member_info\{cluster="([^"]*)"`)

func (e *examination) metrics() counts {
	code, text, err := e.get("/metrics")
	m := counts{told: err == nil && code == http.StatusOK, sum: map[string]float64{}}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if found := clusterLabel.FindStringSubmatch(line); found != nil {
			m.cluster = found[1]
		}
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line[:end], "{")
		if v, err := strconv.ParseFloat(line[end+1:], 64); err == nil {
			m.sum[name] += v
		}
	}
	return m
}

// get asks the member's HTTP door.
func (e *examination) get(path string) (code int, text string, err error) {
	req, err := http.NewRequestWithContext(e.ctx, http.MethodGet, "http://"+strings.TrimPrefix(e.addr, "http://")+path, nil)
	if err != nil {
		return 0, "", fmt.Errorf("%q is no address: %w", e.addr, err)
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: doctorPatience}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		e.memberTime, e.askedAt = at, time.Now()
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	return resp.StatusCode, string(b), err
}
