// Package http is the door for operators: metrics, health, readiness and profiles over plain HTTP. It reads,
// it changes nothing.
//
//	listener (at most so many connections) → net/http server (timeouts, header limit) → host check → own mux:
//	  GET /metrics        what the member counts, as Prometheus reads it
//	  GET /healthz        200 while the member can do its work, else 503 and why
//	  GET /readyz         200 once it answers for all that lives on it, else 503 and why
//	  GET /damage         what of the log is damaged, as JSON
//	  GET /groups/NAME    a consumer group that this member coordinates, and why it rebalanced, as JSON
//	  GET /apps           the applications that this member runs, and their tasks, as JSON
//	  GET /apps/NAME      one of them
//	  GET /debug/pprof/   profiles of the whole process
//
// Invariants:
//   - Nothing is registered on http.DefaultServeMux: the program that embeds a member may serve that to anybody.
//     net/http/pprof does so when it is imported, therefore the profiles are written by runtime/pprof here.
//   - A client that is slow, silent or one too many costs its own connection only.
//   - On a loopback listener a request must name the host by address or as localhost, so that a page in a browser
//     cannot reach it under a name of its own.
//   - Serve returns after every goroutine that it started.
//
// It must not decide what healthy or ready means: it is told.
package http
