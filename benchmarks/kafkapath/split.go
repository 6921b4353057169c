package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/millstream-io/millstream/benchmarks/drive"
	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
)

// The parts that a member's processor time is split into.
const (
	gateway    = "gateway"    // the Kafka door and the broker behind it, with the sockets
	actorRaft  = "actor_raft" // actors, partitions and raft
	store      = "engine"     // the log store, with its disk
	goRuntime  = "runtime"    // collector, scheduler: what belongs to no part
	elsewhere  = "elsewhere"  // what is none of these, such as the HTTP door
	everything = "server"     // the sum, by the kernel's count
)

var parts = []string{gateway, actorRaft, store, goRuntime, elsewhere}

// places says which part a package belongs to; the first that fits a frame decides. Frames of packages that
// serve several parts (proto, state, the standard library) fit none: their caller decides.
var places = []struct{ prefix, part string }{
	{"runtime.gcBgMarkWorker", goRuntime},
	{"runtime.gcAssistAlloc", goRuntime},
	{"github.com/millstream-io/millstream/cluster/gateway/http", elsewhere},
	{"github.com/millstream-io/millstream/cluster/observe", ""},
	{"github.com/millstream-io/millstream/cluster", gateway},
	{"github.com/millstream-io/millstream/actors", actorRaft},
	{"github.com/millstream-io/millstream/partition", actorRaft},
	{"github.com/asynkron/protoactor-go", actorRaft},
	{"go.etcd.io/raft", actorRaft},
	{"github.com/millstream-io/millstream/state/engine", store},
	{"github.com/dgraph-io/", store},
	{"github.com/millstream-io/millstream/state", ""},
	{"github.com/millstream-io/millstream/proto", ""},
	{"github.com/millstream-io/millstream/", elsewhere},
}

func splitName(l way) string { return memberName + "/split/" + l.name }

// split runs a load on a member that is profiled while it is measured, and divides its processor time as the
// samples of the profile are divided.
func (c settings) split(out *measure.Results, l way, n int) error {
	return c.serve(c.subjects[0], func(p *server.Process) error {
		var profile []byte
		d := c.drive(l)
		d.During = func() (err error) {
			profile, err = fetchProfile(p.HTTP, c.seconds)
			return err
		}
		figures, err := drive.Produce(context.Background(), driven(p), d)
		if err != nil {
			return err
		}
		traces, err := c.traces(profile, l)
		if err != nil {
			return err
		}
		share := shares(traces)
		total := figures["server_cpu_s_per_m"]
		split := map[string]float64{everything + "_cpu_s_per_m": total, "rate_per_s": figures["rate_per_s"]}
		for _, part := range parts {
			split[part+"_cpu_s_per_m"] = total * share[part]
		}
		out.Add(splitName(l), n, split)
		return nil
	})
}

func fetchProfile(address string, d time.Duration) (profile []byte, err error) {
	r, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%g", address, d.Seconds()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Body.Close()) }()
	if profile, err = io.ReadAll(r.Body); err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("the HTTP door answers %s: %s", r.Status, profile)
	}
	return profile, err
}

// traces lets the Go tool print the stacks of a profile.
func (c settings) traces(profile []byte, l way) ([]byte, error) {
	dir := c.profiles
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "kafkapath-profile-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	path := filepath.Join(dir, strings.ReplaceAll(l.name, "/", "-")+".pprof")
	if err := os.WriteFile(path, profile, 0o600); err != nil {
		return nil, err
	}
	tool := exec.Command("go", "tool", "pprof", "-traces", "-sample_index=cpu", "-unit=us", path)
	var said bytes.Buffer
	tool.Stderr = &said
	traces, err := tool.Output()
	if err != nil {
		return nil, fmt.Errorf("go tool pprof: %w: %s", err, &said)
	}
	return traces, nil
}

// shares reads stacks as `go tool pprof -traces` prints them, each begun by a rule and with its time before
// its innermost frame, and returns the share of each part.
func shares(traces []byte) map[string]float64 {
	spent := map[string]float64{}
	var total, took float64
	var frames []string
	end := func() {
		if len(frames) > 0 {
			spent[part(frames)] += took
			total += took
		}
		frames = nil
	}
	for lines := bufio.NewScanner(bytes.NewReader(traces)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "-----------+") {
			end()
			continue
		}
		word := strings.Fields(line)
		if len(word) == 0 {
			continue
		}
		if us, ok := strings.CutSuffix(word[0], "us"); ok && len(word) > 1 && len(frames) == 0 {
			if _, err := fmt.Sscanf(us, "%g", &took); err == nil {
				frames = append(frames, word[1])
			}
			continue
		}
		if len(frames) > 0 {
			frames = append(frames, word[0])
		}
	}
	end()
	for p := range spent {
		spent[p] /= max(total, 1)
	}
	return spent
}

// part says what part a stack belongs to, innermost frame first.
func part(frames []string) string {
	for _, f := range frames {
		for _, p := range places {
			if !strings.HasPrefix(f, p.prefix) {
				continue
			}
			if p.part == "" {
				break // its caller decides
			}
			return p.part
		}
	}
	return goRuntime
}
