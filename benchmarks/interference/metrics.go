package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pollEvery is how often the member's metrics are looked at while it works.
const pollEvery = 50 * time.Millisecond

// work is what the member has done in the background since it started.
type work struct{ rewritten, read, copied float64 }

func (w work) since(before work) work {
	return work{w.rewritten - before.rewritten, w.read - before.read, w.copied - before.copied}
}

// figures tells of work that took a while.
func (w work) figures(took time.Duration) map[string]float64 {
	return map[string]float64{
		"buckets":              w.rewritten,
		"rewrite_read_mb":      w.read / (1 << 20),
		"rewrite_written_mb":   w.copied / (1 << 20),
		"rewrite_written_mb_s": w.copied / (1 << 20) / max(took.Seconds(), 1e-3),
	}
}

// scrape reads the metrics of a member, over all classes.
func scrape(address string) (w work, err error) {
	r, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return w, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return w, fmt.Errorf("the metrics answer %s", r.Status)
	}
	return parse(r.Body)
}

func parse(r io.Reader) (w work, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "} ")
		name, _, labelled := strings.Cut(name, "{")
		to := map[string]*float64{
			"millstream_engine_rewritten_buckets_total":     &w.rewritten,
			"millstream_engine_rewrite_read_bytes_total":    &w.read,
			"millstream_engine_rewrite_written_bytes_total": &w.copied,
		}[name]
		if !ok || !labelled || to == nil {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return w, fmt.Errorf("metric %s: %w", name, err)
		}
		*to += v
	}
	return w, lines.Err()
}

// watch waits until the member has rewritten something since before, and then nothing for as long as calm. It
// returns what it has done, and when it was seen to have done the first and the last of it.
func watch(
	address string, before work, calm, patience time.Duration,
) (done work, first, last time.Time, err error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	begin := time.Now()
	for seen := before; ; <-tick.C {
		now, err := scrape(address)
		if err != nil {
			return done, first, last, err
		}
		switch at := time.Now(); {
		case now != seen:
			if seen, last = now, at; first.IsZero() {
				first = at
			}
		case !last.IsZero() && at.Sub(last) >= calm:
			return now.since(before), first, last, nil
		case at.Sub(begin) > patience && last.IsZero():
			return done, first, last, fmt.Errorf("the member rewrote nothing within %s", patience)
		}
	}
}
