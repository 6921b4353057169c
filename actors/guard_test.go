package actors

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/proto/fault"
)

// logText collects a log; safe for concurrent use.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) has(t *testing.T, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range want {
		if !strings.Contains(l.b.String(), w) {
			t.Errorf("log has no %q:\n%s", w, l.b.String())
		}
	}
}

func (l *logText) lacks(t *testing.T, secret string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.Contains(l.b.String(), secret) {
		t.Errorf("log has %q:\n%s", secret, l.b.String())
	}
}

func (l *logText) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Goal: a panic in somebody's reply function or stop hook costs neither the actor nor the process. Method:
// both panic, by a reply and by a deadline; the actor still answers and Close still ends. In a bubble, because
// a panic is logged after the function is left, which only the bubble can wait for.
func TestForeignPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logText
		s, ref := start(t, Options{Logger: log.logger(), OnStopped: func(Identity, error) { panic("in hook") }},
			kindOf("k", supervise.Policy{}, func(c Context, m any) {
				if m == "echo" {
					c.Reply(m)
				}
			}))
		ref.Ask(time.Now().Add(limit), "echo", func(any, error) { panic("in reply") })
		ref.Ask(time.Now().Add(time.Millisecond), "mute", func(any, error) { panic("in timeout") })
		advance(2 * time.Millisecond)
		if a := ask(t, ref, "echo"); a.m != "echo" {
			t.Fatalf("got %v", a)
		}
		s.Close()
		synctest.Wait()
		log.has(t, "in reply", "in timeout", "in hook")
	})
}

// Goal: the log says who crashed, where and why, and never what the messages held. Method: an actor crashes
// while messages with a secret wait and arrive late; the whole log, at debug, is searched.
func TestLog(t *testing.T) {
	type secret struct{ value string }
	synctest.Test(t, func(t *testing.T) {
		var log logText
		s, ref := start(t, Options{Logger: log.logger()}, kindOf("k", supervise.Policy{Restarts: 1, Pause: time.Second},
			func(_ Context, m any) {
				if _, ok := m.(secret); ok {
					crashHere()
				}
			}))
		for range 10 {
			ref.Tell(secret{"hunter2"})
			asked(ref, time.Now().Add(time.Minute), secret{"hunter2"})
		}
		advance(2 * time.Second)
		ref.Tell(secret{"hunter2"})
		synctest.Wait()
		ref.Tell(secret{"hunter2"})
		s.Close()
		log.has(t, "actor crashed", "actor stopped by an error", "kind=k", "identity=one", "epoch=1", "crashHere", "on purpose")
		log.lacks(t, "hunter2")
	})
}

func crashHere() { panic("on purpose") }

// Goal: Close says what it waits for. Method: fake time; an actor blocks in Receive for longer than Close is
// patient.
func TestCloseComplains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logText
		s, ref := start(t, Options{Logger: log.logger()}, kindOf("k", supervise.Policy{}, func(_ Context, m any) {
			if m == "block" {
				advance(2 * closeGrace)
			}
		}))
		ref.Tell("block")
		synctest.Wait()
		s.Close()
		log.has(t, "close still waits", "actor does not stop", "identity=one")
	})
}

// Goal: mistakes in the program are loud. Method: register what can't be registered.
func TestRegisterPanics(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	ok := kindOf("k", supervise.Policy{}, func(Context, any) {})
	s.Register(ok)
	for name, k := range map[string]Kind{"twice": ok, "no New": {Name: "x"}, "bad name": {Name: "a/b", New: ok.New}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			s.Register(k)
		}()
	}
}

// Goal: an actor that makes nil, or fails with nil, crashes with a reason instead of hurting the runtime.
// Method: both, and what OnStopped heard.
func TestMisuseCrashes(t *testing.T) {
	for name, k := range map[string]Kind{
		"nil actor": {Name: "k", New: func(Identity) Actor { return nil }},
		"nil fail":  kindOf("k", supervise.Policy{}, func(c Context, _ any) { c.Fail(nil) }),
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan error, 1)
			start(t, Options{OnStopped: func(_ Identity, err error) { heard <- err }}, k)
			if err := <-heard; err == nil || fault.CodeOf(err) != fault.Unknown {
				t.Fatalf("heard %v", err)
			}
		})
	}
}
