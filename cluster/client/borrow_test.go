package client

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// borrowing is a cluster whose transport only reads frames. It keeps some for a while, and some for good.
type borrowing struct {
	*fakeCluster

	mu      sync.Mutex
	lent    []lentFrame
	taken   int
	changed int  // frames that were not what they had been when they came
	early   bool // all are given back at once
	keeps   bool // none later
}

type lentFrame struct {
	frame, was []byte
	free       func()
}

// ProduceBorrowed implements Borrower.
func (b *borrowing) ProduceBorrowed(o Outgoing, done func(Produced), free func()) {
	b.mu.Lock()
	was := slices.Clone(o.Frame)
	b.lent = append(b.lent, lentFrame{o.Frame, was, free})
	b.taken++
	if b.early {
		free()
	}
	if b.taken%3 == 0 && !b.keeps {
		b.lent = slices.Delete(b.lent, 0, b.look(len(b.lent)-1)) // the last is still under way
	}
	b.mu.Unlock()
	o.Frame = slices.Clone(was)
	b.Produce(o, done)
}

// look checks the first n frames, and gives all but every seventh back. Call it with the lock held.
func (b *borrowing) look(n int) int {
	for i, l := range b.lent[:n] {
		if !bytes.Equal(l.frame, l.was) {
			b.changed++
		}
		if i%7 != 6 {
			l.free()
		}
	}
	return n
}

// borrowed produces to a borrowing cluster and returns what happened.
func borrowed(rt *rapid.T, b *borrowing, n int) error {
	c := New(b, impatient, WithMaxBatchBytes(rapid.SampledFrom([]int{1 << 10, 4 << 10}).Draw(rt, "batch")))
	var l load
	l.produce(context.Background(), c, "t", 2, n)
	if err := c.Close(); err != nil {
		return err
	}
	b.mu.Lock()
	b.look(len(b.lent))
	b.mu.Unlock()
	return l.verify(b.fakeCluster, "t", 2, n)
}

// Goal: a frame that is lent does not change before it is given back, and all other promises hold for a transport that
// borrows. Method: frames are compared with what they were when they are given back, late, or at the end; trouble from
// seeds has batches sent again meanwhile.
func TestBorrowedFramesStayTheSame(t *testing.T) {
	again := false
	rapid.Check(t, func(rt *rapid.T) {
		b := &borrowing{fakeCluster: newCluster(map[string]int{"t": 2})}
		b.trouble = unruly(rapid.Uint64().Draw(rt, "seed"))
		if err := borrowed(rt, b, rapid.IntRange(1, 300).Draw(rt, "records")); err != nil {
			rt.Fatal(err)
		}
		if b.changed > 0 || b.taken == 0 {
			rt.Fatalf("%d of %d lent frames changed", b.changed, b.taken)
		}
		again = again || len(b.requests) > b.taken
	})
	if !again {
		t.Fatal("no batch was sent again: the trouble tests nothing")
	}
}

// Goal: memory that was given back is used again, and other memory never is: so the test above sees frames that would
// change. Method: one record after another; which addresses come twice.
func TestFramesThatAreGivenBackAreUsedAgain(t *testing.T) {
	for _, early := range []bool{true, false} {
		b := &borrowing{fakeCluster: newCluster(map[string]int{"t": 1}), early: early, keeps: true}
		c := New(b, impatient)
		t.Cleanup(func() { _ = c.Close() }) // nothing is under way
		for range 200 {
			if _, err := c.Produce(within(t), Record{Topic: "t", Value: []byte("v")}); err != nil {
				t.Fatal(err)
			}
		}
		at := map[*byte]bool{}
		for _, l := range b.lent {
			at[&l.frame[0]] = true
		}
		if again := len(at) < 200; again != early || len(b.lent) != 200 {
			t.Errorf("given back: %v, yet %d frames have %d addresses", early, len(b.lent), len(at))
		}
	}
}
