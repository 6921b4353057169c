package client

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: a leader that is away for a minute is asked again, ever more rarely, and the record arrives soon
// after it is back. Method: fake time, attempts counted.
func TestLeaderAwayForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newCluster(map[string]int{"t": 1})
		back := time.Now().Add(time.Minute)
		f.trouble = func(int, Outgoing) (m mishap) {
			if time.Now().Before(back) {
				m.refuse = fault.New(fault.LeaderNotAvailable, "electing")
			}
			return m
		}
		c := New(f)
		if _, err := c.Produce(t.Context(), Record{Topic: "t"}); err != nil {
			t.Error(err)
		}
		if late := time.Since(back); late > mostBackoff {
			t.Errorf("written %s after the leader was back", late)
		}
		if n := len(f.requests); n < 60 || n > 140 {
			t.Errorf("%d attempts in a minute", n)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Goal: a record has its answer when its time is over, not much later, and what waited behind it does too.
// Method: fake time, a leader that never comes.
func TestDeliveryTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newCluster(map[string]int{"t": 1})
		f.trouble = func(int, Outgoing) mishap { return mishap{refuse: fault.New(fault.NotLeader, "gone")} }
		c := New(f, WithDeliveryTimeout(30*time.Second), WithMaxBatchBytes(1<<10))
		start := time.Now()
		answers := make(chan error, 40)
		for range 40 {
			c.ProduceAsync(t.Context(), Record{Topic: "t", Value: make([]byte, 100)}, func(d Delivery) { answers <- d.Err })
		}
		for range 40 {
			if err := <-answers; !errors.Is(err, fault.RequestTimedOut) {
				t.Error(err)
			}
		}
		if took := time.Since(start); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("told after %s", took)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Goal: linger holds a record back exactly as long as it says. Method: fake time.
func TestLingerTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newCluster(map[string]int{"t": 1})
		c := New(f, WithLinger(50*time.Millisecond))
		start := time.Now()
		if _, err := c.Produce(t.Context(), Record{Topic: "t"}); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("sent after %s", took)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Goal: an error says what happened to the record. Method: one that was never sent, one that was refused
// until the end, in fake time.
func TestErrorsOfLateRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newCluster(map[string]int{"t": 1})
		release := hold(f)
		c := New(f, WithDeliveryTimeout(time.Second), WithoutIdempotence())
		errs := make(chan error, 2)
		told := func(d Delivery) { errs <- d.Err }
		c.ProduceAsync(t.Context(), Record{Topic: "t"}, told)
		synctest.Wait()
		c.ProduceAsync(t.Context(), Record{Topic: "t"}, told)
		time.AfterFunc(2*time.Second, release) // the transport is late
		if err := <-errs; err != nil {
			t.Errorf("an answer that comes late counts: %v", err)
		}
		if err := <-errs; !errors.Is(err, fault.RequestTimedOut) || !strings.Contains(err.Error(), "not sent") {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
