package http

import (
	"context"
	"encoding/json"
	"io"
	"net"
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// handler is everything that the door serves, on a mux of its own.
func handler(o Options, loopback bool) nethttp.Handler {
	mux := nethttp.NewServeMux()
	if o.Metrics != nil {
		mux.Handle("GET /metrics", o.Metrics)
	}
	mux.HandleFunc("GET /healthz", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		report(w, r, o.Health(), o.Notes())
	})
	mux.HandleFunc("GET /readyz", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), o.CheckTimeout)
		defer cancel()
		report(w, r, o.Ready(ctx), o.Notes())
	})
	if o.Damage != nil {
		mux.HandleFunc("GET /damage", func(w nethttp.ResponseWriter, _ *nethttp.Request) { document(w, o.Damage()) })
	}
	if o.Group != nil {
		mux.HandleFunc("GET /groups/{name}", func(w nethttp.ResponseWriter, r *nethttp.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), o.CheckTimeout)
			defer cancel()
			g, err := o.Group(ctx, r.PathValue("name"))
			if err != nil {
				nethttp.Error(w, err.Error(), fault.CodeOf(err).HTTP())
				return
			}
			document(w, g)
		})
	}
	apps(mux, o)
	p := profiles{allowance: o.WriteTimeout}
	mux.HandleFunc("GET /debug/pprof/{$}", p.index)
	mux.HandleFunc("GET /debug/pprof/{name}", p.named)
	mux.HandleFunc("GET /debug/pprof/profile", p.cpu)
	mux.HandleFunc("GET /debug/pprof/trace", p.trace)
	return watched(guarded(mux, loopback), o.Observer)
}

// apps tells of the applications that run on the member.
func apps(mux *nethttp.ServeMux, o Options) {
	if o.Apps != nil {
		mux.HandleFunc("GET /apps", func(w nethttp.ResponseWriter, _ *nethttp.Request) { document(w, o.Apps()) })
	}
	if o.App == nil {
		return
	}
	mux.HandleFunc("GET /apps/{name}", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		a, err := o.App(r.PathValue("name"))
		if err != nil {
			nethttp.Error(w, err.Error(), fault.CodeOf(err).HTTP())
			return
		}
		document(w, a)
	})
}

// document answers with JSON that people can read too.
func document(w nethttp.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}

// guarded refuses requests to a loopback door under a foreign name: such a name resolves to this machine
// because somebody's page wants a browser here to ask for it (DNS rebinding).
func guarded(next nethttp.Handler, loopback bool) nethttp.Handler {
	return nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if loopback && !plainHost(r.Host) {
			nethttp.Error(w, "host "+strconv.Quote(r.Host)+" is not served: "+
				"this door listens on loopback, ask for localhost or its address", nethttp.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// plainHost reports whether a Host header names an address or localhost. HTTP/1.0 clients send none.
func plainHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return host == "" || strings.EqualFold(host, "localhost") || net.ParseIP(host) != nil
}

// report answers a check: 200 where there is no reason against, else 503 with the reasons, one a line, or as
// JSON to those who ask for it. Notes follow in either case.
func report(w nethttp.ResponseWriter, r *nethttp.Request, reasons, notes []string) {
	status, word := nethttp.StatusOK, "ok"
	if len(reasons) > 0 {
		status, word = nethttp.StatusServiceUnavailable, "unavailable"
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(struct {
			Status  string   `json:"status"`
			Reasons []string `json:"reasons,omitempty"`
			Notes   []string `json:"notes,omitempty"`
		}{word, reasons, notes})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	lines := reasons
	if len(reasons) == 0 {
		lines = []string{word}
	}
	for _, n := range notes {
		lines = append(slices.Clip(lines), "note: "+n)
	}
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n")
}

// watched tells the observer of each answer.
func watched(next nethttp.Handler, o Observer) nethttp.Handler {
	return nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		began := time.Now()
		n := &noted{ResponseWriter: w, status: nethttp.StatusOK}
		defer func() { o.Answered(route(r.Pattern), n.status, time.Since(began)) }()
		next.ServeHTTP(n, r)
	})
}

// route is the path of a mux pattern.
func route(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return strings.TrimSuffix(path, "{$}")
	}
	return "other"
}

// noted remembers the status of an answer.
type noted struct {
	nethttp.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (n *noted) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find the connection.
func (n *noted) Unwrap() nethttp.ResponseWriter { return n.ResponseWriter }
