package http

import (
	"context"
	"fmt"
	"io"
	nethttp "net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a profile that takes time.
const (
	defaultProfileTime = 30 * time.Second
	defaultTraceTime   = time.Second
	maxProfileTime     = 5 * time.Minute
)

// profiles serves what runtime/pprof and runtime/trace can tell of the process, under the paths and
// parameters that `go tool pprof` and `go tool trace` know. The command line is left out: it may hold
// secrets. So is the lookup of symbols: profiles of Go programs carry theirs.
type profiles struct {
	allowance time.Duration // to write an answer in, beside the time of the profile itself
}

// index lists the profiles.
func (p profiles) index(w nethttp.ResponseWriter, _ *nethttp.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	var b strings.Builder
	b.WriteString("profiles of this process; read one with: go tool pprof http://ADDRESS/debug/pprof/NAME\n\n")
	all := pprof.Profiles()
	slices.SortFunc(all, func(a, b *pprof.Profile) int { return strings.Compare(a.Name(), b.Name()) })
	for _, p := range all {
		fmt.Fprintf(&b, "%8d %s\n", p.Count(), p.Name())
	}
	b.WriteString("         profile?seconds=30    where the processors spend their time\n")
	b.WriteString("         trace?seconds=1       what the scheduler does, for go tool trace\n\n")
	b.WriteString("?debug=1 gives text, ?debug=2 with goroutine all stacks; ?gc=1 with heap collects garbage first\n")
	_, _ = io.WriteString(w, b.String())
}

// named writes one of the profiles that the runtime keeps.
func (p profiles) named(w nethttp.ResponseWriter, r *nethttp.Request) {
	name := r.PathValue("name")
	profile := pprof.Lookup(name)
	if profile == nil {
		nethttp.Error(w, "no profile "+strconv.Quote(name)+"; /debug/pprof/ lists them", nethttp.StatusNotFound)
		return
	}
	if name == "heap" && r.FormValue("gc") == "1" {
		runtime.GC()
	}
	debug, _ := strconv.Atoi(r.FormValue("debug"))
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		attach(w, name)
	}
	_ = profile.WriteTo(w, debug)
}

// cpu watches the processors for a while.
func (p profiles) cpu(w nethttp.ResponseWriter, r *nethttp.Request) {
	p.timed(w, r, "profile", defaultProfileTime, pprof.StartCPUProfile, pprof.StopCPUProfile)
}

// trace records the scheduler for a while.
func (p profiles) trace(w nethttp.ResponseWriter, r *nethttp.Request) {
	p.timed(w, r, "trace", defaultTraceTime, trace.Start, trace.Stop)
}

// timed runs one of the two that are taken over a time. The process has one of each kind at most: a second
// request is told so. The client's going and the door's end cut it short; what was seen until then is
// written.
func (p profiles) timed(
	w nethttp.ResponseWriter, r *nethttp.Request, name string, def time.Duration,
	start func(io.Writer) error, stop func(),
) {
	d, err := seconds(r.FormValue("seconds"), def)
	if err != nil {
		nethttp.Error(w, err.Error(), nethttp.StatusBadRequest)
		return
	}
	if err := nethttp.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + p.allowance)); err != nil {
		nethttp.Error(w, err.Error(), nethttp.StatusInternalServerError)
		return
	}
	attach(w, name)
	if err := start(w); err != nil {
		w.Header().Del("Content-Disposition")
		nethttp.Error(w, name+": "+err.Error()+"; try again when it is over", nethttp.StatusConflict)
		return
	}
	defer stop()
	wait(r.Context(), d)
}

func attach(w nethttp.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

// seconds reads a duration in seconds, which may have a fraction.
func seconds(text string, def time.Duration) (time.Duration, error) {
	if text == "" {
		return def, nil
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s > 0 && s <= maxProfileTime.Seconds()) {
		return 0, fmt.Errorf("seconds=%q is not in (0, %d]", text, int(maxProfileTime.Seconds()))
	}
	return time.Duration(s * float64(time.Second)), nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
