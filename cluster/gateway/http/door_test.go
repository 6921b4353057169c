package http

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/proto/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit bounds every wait of these tests; it is generous, because the machine may be busy.
const limit = time.Minute

// door is a door under test.
type door struct {
	t      *testing.T
	addr   string
	client *nethttp.Client
	stop   func() // ends it and waits
}

func open(t *testing.T, o Options) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, l, net.Dial, o)
}

// openOn opens a door on a listener; dial reaches it.
func openOn(t *testing.T, l net.Listener, dial func(network, addr string) (net.Conn, error), o Options) *door {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, o) }()
	d := &door{t: t, addr: l.Addr().String(), client: &nethttp.Client{Transport: &nethttp.Transport{Dial: dial}, Timeout: limit}}
	stopped := false
	d.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(limit):
			t.Error("the door does not close")
		}
		d.client.CloseIdleConnections()
	}
	t.Cleanup(d.stop)
	return d
}

// get returns the status and the body of a path, with header lines "Name: value".
func (d *door) get(path string, header ...string) (int, string) {
	d.t.Helper()
	req, err := nethttp.NewRequest("GET", "http://"+d.addr+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	resp, err := d.client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// Goal: health and readiness answer 200 or 503 with every reason, as lines and as JSON. Method: switch the
// reasons.
func TestChecksTellReasons(t *testing.T) {
	var reasons atomic.Pointer[[]string]
	reasons.Store(&[]string{"starting", "reading the log"})
	ready := func(ctx context.Context) []string {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the check has no deadline")
		}
		return *reasons.Load()
	}
	d := open(t, Options{Ready: ready, Health: func() []string { return *reasons.Load() }})
	for _, path := range []string{"/healthz", "/readyz"} {
		reasons.Store(&[]string{"starting", "reading the log"})
		if code, body := d.get(path); code != 503 || body != "starting\nreading the log\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
		const want = `{"status":"unavailable","reasons":["starting","reading the log"]}` + "\n"
		if code, body := d.get(path, "Accept: application/json"); code != 503 || body != want {
			t.Errorf("%s as JSON: %d %q", path, code, body)
		}
		reasons.Store(new([]string))
		if code, body := d.get(path); code != 200 || body != "ok\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
		if code, body := d.get(path, "Accept: application/json"); code != 200 || body != `{"status":"ok"}`+"\n" {
			t.Errorf("%s as JSON: %d %q", path, code, body)
		}
	}
}

// Goal: notes are told beside both checks and change neither; damage is told as JSON. Method: a door with both,
// and one with none.
func TestNotesAndDamage(t *testing.T) {
	d := open(t, Options{
		Notes: func() []string { return []string{"the disk is slow"} }, Damage: func() any { return []int{1, 2} },
	})
	if code, text := d.get("/healthz"); code != 200 || text != "ok\nnote: the disk is slow\n" {
		t.Errorf("health: %d %q", code, text)
	}
	code, text := d.get("/readyz", "Accept: application/json")
	if code != 200 || text != `{"status":"ok","notes":["the disk is slow"]}`+"\n" {
		t.Errorf("ready: %d %q", code, text)
	}
	if code, text := d.get("/damage"); code != 200 || strings.Join(strings.Fields(text), "") != "[1,2]" {
		t.Errorf("damage: %d %q", code, text)
	}
	if code, _ := open(t, Options{}).get("/damage"); code != 404 {
		t.Errorf("damage of a door that was told none: %d", code)
	}
}

// Goal: a group is told as JSON, by its name whatever that holds; a refusal has its status and its words. Method:
// a door that knows one group, and one that was told of none.
func TestGroups(t *testing.T) {
	d := open(t, Options{Group: func(ctx context.Context, name string) (any, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the question has no deadline")
		}
		if name != "a/b ?" {
			return nil, fault.New(fault.GroupIDNotFound, "group %q does not exist", name).WithHint("look")
		}
		return map[string]int{"generation": 3}, nil
	}})
	code, text := d.get("/groups/a%2Fb%20%3F")
	if code != 200 || strings.Join(strings.Fields(text), "") != `{"generation":3}` {
		t.Errorf("a group: %d %q", code, text)
	}
	if code, text := d.get("/groups/other"); code != 404 || !strings.Contains(text, `"other" does not exist`) {
		t.Errorf("no group: %d %q", code, text)
	}
	if code, _ := d.get("/groups/"); code != 404 {
		t.Errorf("no name: %d", code)
	}
	if code, _ := open(t, Options{}).get("/groups/other"); code != 404 {
		t.Errorf("a door that was told none: %d", code)
	}
}

// Goal: applications are told as JSON, all and by name; a refusal has its status. Method: a door that knows one,
// and one that was told of none.
func TestApps(t *testing.T) {
	d := open(t, Options{
		Apps: func() any { return []string{"one"} },
		App: func(name string) (any, error) {
			if name != "one" {
				return nil, fault.New(fault.GroupIDNotFound, "application %q does not run", name)
			}
			return map[string]string{"name": name}, nil
		},
	})
	for path, want := range map[string]string{"/apps": `["one"]`, "/apps/one": `{"name":"one"}`} {
		if code, text := d.get(path); code != 200 || strings.Join(strings.Fields(text), "") != want {
			t.Errorf("%s: %d %q", path, code, text)
		}
	}
	if code, text := d.get("/apps/two"); code != 404 || !strings.Contains(text, `"two" does not run`) {
		t.Errorf("no such application: %d %q", code, text)
	}
	silent := open(t, Options{})
	for _, path := range []string{"/apps", "/apps/one"} {
		if code, _ := silent.get(path); code != 404 {
			t.Errorf("%s of a door that was told none: %d", path, code)
		}
	}
}

// Goal: only what the door knows is served, and only read. Method: a table of paths and methods.
func TestPathsAndMethods(t *testing.T) {
	metrics := nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { io.WriteString(w, "metrics") })
	d := open(t, Options{Metrics: metrics})
	for path, want := range map[string]int{
		"/metrics": 200, "/healthz": 200, "/readyz": 200, "/debug/pprof/": 200, "/debug/pprof/goroutine": 200,
		"/": 404, "/debug/pprof/nothing": 404, "/debug/pprof/cmdline": 404, "/debug/pprof/profile?seconds=x": 400,
		"/debug/pprof/trace?seconds=0": 400, "/debug/pprof/profile?seconds=1e9": 400, "/debug/vars": 404,
	} {
		if code, body := d.get(path); code != want {
			t.Errorf("%s: %d %q, want %d", path, code, body, want)
		}
	}
	resp, err := d.client.Post("http://"+d.addr+"/healthz", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 405 {
		t.Errorf("POST: %s", resp.Status)
	}
}

// Goal: a page in a browser cannot reach a loopback door under a name of its own; one that listens elsewhere
// is reached under any name. Method: Host headers, and the handler of both kinds of door.
func TestForeignHostsAreRefused(t *testing.T) {
	d := open(t, Options{})
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:1": 200, "[::1]:8080": 200, "10.1.2.3": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
	} {
		if code, body := d.get("/healthz", "Host: "+host); code != want {
			t.Errorf("%s: %d %q, want %d", host, code, body, want)
		}
	}
	open := handler(Options{}.withDefaults(), false)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/healthz", nil)
	r.Host = "member-0.example"
	if open.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("a door beyond loopback refuses a name: %d", w.Code)
	}
}

// Goal: profiles come in the format that the Go tools read, also those that take longer than the door's
// timeouts, one at a time. Method: the timeouts are shorter than the profile; one is asked for while another
// one runs.
func TestProfiles(t *testing.T) {
	d, short := open(t, Options{}), open(t, Options{ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second})
	unzips := func(name, body string) {
		t.Helper()
		z, err := gzip.NewReader(strings.NewReader(body))
		if err == nil {
			_, err = io.Copy(io.Discard, z)
		}
		if err != nil {
			t.Errorf("%s is no profile: %v", name, err)
		}
	}
	if code, body := d.get("/debug/pprof/heap?gc=1"); code != 200 {
		t.Errorf("heap: %d", code)
	} else {
		unzips("heap", body)
	}
	if code, body := d.get("/debug/pprof/goroutine?debug=2"); code != 200 || !strings.Contains(body, "goroutine ") {
		t.Errorf("goroutine as text: %d", code)
	}
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	code, body := d.get("/debug/pprof/profile?seconds=0.01")
	pprof.StopCPUProfile()
	if code != 409 {
		t.Errorf("a second profile at the same time: %d %q", code, body)
	}
	began := time.Now()
	if code, body = short.get("/debug/pprof/profile?seconds=2.2"); code != 200 {
		t.Errorf("profile: %d %q", code, body)
	}
	unzips("cpu", body)
	if took := time.Since(began); took < 2100*time.Millisecond {
		t.Errorf("a profile of 2.2 s took %s", took)
	}
	if code, body := d.get("/debug/pprof/trace?seconds=0.05"); code != 200 || !strings.HasPrefix(body, "go 1.") {
		t.Errorf("trace: %d, %d bytes", code, len(body))
	}
}

// Goal: closing does not wait for a long profile, and what was seen until then arrives. Method: ask for
// minutes, close.
func TestCloseCutsProfiles(t *testing.T) {
	d := open(t, Options{})
	resp, err := d.client.Get("http://" + d.addr + "/debug/pprof/trace?seconds=200")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	d.stop()
	if body, err := io.ReadAll(resp.Body); err != nil || !bytes.HasPrefix(body, []byte("go 1.")) {
		t.Errorf("%d bytes of a trace, error %v", len(body), err)
	}
}

// Goal: closing lets an answer in flight finish. Method: a check that waits until the door is being closed.
func TestCloseDrains(t *testing.T) {
	asked := make(chan struct{})
	d := open(t, Options{Ready: func(ctx context.Context) []string {
		close(asked)
		<-ctx.Done()
		return []string{"the door closes"}
	}, CheckTimeout: limit})
	answer := make(chan string, 1)
	go func() {
		_, body := d.get("/readyz")
		answer <- body
	}()
	<-asked
	d.stop()
	if got := <-answer; got != "the door closes\n" {
		t.Errorf("the answer is %q", got)
	}
}

// Goal: a listener that fails by itself is an error, not a silent end. Method: close it under the door.
func TestListenerFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(context.Background(), l, Options{}) }()
	l.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// Goal: a client that sends its request byte by byte, or nothing, is cut in time, and meanwhile others are
// served. Method: trickle a header for ever, and stay silent, with a short timeout, in fake time.
func TestSlowClientsAreCut(t *testing.T) { synctest.Test(t, slowClientsAreCut) }

func slowClientsAreCut(t *testing.T) {
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	d := openOn(t, l, l.dial, Options{HeaderTimeout: 200 * time.Millisecond, ReadTimeout: 300 * time.Millisecond})
	for name, send := range map[string]string{
		"silent": "", "half a line": "GET /heal", "endless header": "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b",
	} {
		c, err := l.dial("", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := cutWhile(c, send, name != "silent"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if code, _ := d.get("/healthz"); code != 200 {
			t.Errorf("others get %d", code)
		}
		c.Close()
	}
}

// pipes is a listener whose connections are net.Pipes, for fake time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipes) dial(string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Accept implements net.Listener.
func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipes) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

// Addr implements net.Listener.
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

// cutWhile sends a beginning, then a byte now and then, until the other side closes. An error says that it
// does not.
func cutWhile(c net.Conn, begin string, trickle bool) error {
	if _, err := io.WriteString(c, begin); err != nil {
		return err
	}
	end := time.Now().Add(limit)
	for time.Now().Before(end) {
		// The read is also the pause between two bytes.
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := c.Read(make([]byte, 512))
		if ne := net.Error(nil); err != nil && !(errors.As(err, &ne) && ne.Timeout()) {
			return nil
		}
		if trickle {
			if _, err := c.Write([]byte("x")); err != nil {
				return nil
			}
		}
	}
	return fmt.Errorf("still open after %s", limit)
}

// Goal: the head of a request is bounded. Method: send a bigger one.
func TestBigHeadIsRefused(t *testing.T) {
	d := open(t, Options{MaxHeaderBytes: 4 << 10})
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(limit))
	fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Big: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	resp, err := nethttp.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != nethttp.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %s", resp.Status)
	}
}

// tally is an Observer that remembers.
type tally struct {
	refused  chan struct{}
	answered chan string
}

func (t tally) Answered(route string, status int, _ time.Duration) {
	t.answered <- fmt.Sprintf("%s %d", route, status)
}
func (t tally) Refused() { t.refused <- struct{}{} }

// Goal: one connection too many is closed at once and counted, and a place is given back when a connection
// ends. Method: a door with two places.
func TestConnectionsAreBounded(t *testing.T) {
	seen := tally{make(chan struct{}, 100), make(chan string, 1000)}
	d := open(t, Options{MaxConnections: 2, Observer: seen})
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := nethttp.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case <-seen.refused:
	case <-time.After(limit):
		t.Fatal("a third connection is not refused")
	}
	held[0].Close()
	for until := time.Now().Add(limit); ; {
		resp, err := d.client.Get("http://" + d.addr + "/healthz")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(until) {
			t.Fatalf("the place is not given back: %v", err)
		}
	}
}

// Goal: the observer hears routes of a fixed set, whatever clients ask for. Method: odd paths.
func TestObserverHearsRoutes(t *testing.T) {
	seen := tally{make(chan struct{}, 1), make(chan string, 10)}
	d := open(t, Options{Observer: seen})
	for path, want := range map[string]string{
		"/healthz": "/healthz 200", "/healthz?a=b": "/healthz 200", "/x/y/z": "other 404",
		"/debug/pprof/": "/debug/pprof/ 200", "/debug/pprof/mutex": "/debug/pprof/{name} 200",
		"/debug/pprof/made-up": "/debug/pprof/{name} 404",
	} {
		d.get(path)
		if got := <-seen.answered; got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
