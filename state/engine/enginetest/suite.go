package enginetest

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// patience bounds every wait of the suite; it is reached only when something hangs.
const patience = 30 * time.Second

// Subject is an implementation under test.
type Subject struct {
	// Open opens the store that o.Dir names; the same name again, after Close, gives what was kept.
	Open func(o engine.Options) (state.LogStore, error)

	// Damage flips a bit in each stored frame that contains needle and returns how many it found. The store
	// is closed.
	Damage func(t *testing.T, o engine.Options, needle []byte) int

	// Slow says that a bucket takes long to begin; random tests are shorter then.
	Slow bool

	// Bytes is what the store's rows take on the disk. The store is closed.
	Bytes func(t *testing.T, o engine.Options) int64
}

// Run runs the whole suite, several tests at a time: the subject's functions are called by all of them.
func Run(t *testing.T, s Subject) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Subject)
	}{
		{"reopen", testReopen},
		{"order", testOrder},
		{"unsynced writes wait", testUnsynced},
		{"reads", testReads},
		{"lends", testLends},
		{"refused writes", testRefused},
		{"too large", testTooLarge},
		{"closed", testClosed},
		{"barrier", testBarrier},
		{"roll", testRoll},
		{"roll by age", testRollByAge},
		{"truncation across a roll", testTruncateAcrossRoll},
		{"reset", testReset},
		{"change of class", testChangeOfClass},
		{"relaxed", testRelaxed},
		{"relaxed refused", testRelaxedRefused},
		{"live", testLive},
		{"model", testModel},
		{"removal", testRemoval},
		{"removal of the dead", testRemovalOfDead},
		{"quiet class", testQuietClass},
		{"lower first", testLowerFirst},
		{"salvage", testSalvage},
		{"salvage keeps damage", testSalvageKeepsDamage},
		{"bound", testBound},
		{"retention model", testRetentionModel},
		{"compact", testCompact},
		{"runs merge", testRunsMerge},
		{"follower runs", testFollowerRuns},
		{"compact shared", testCompactShared},
		{"compaction ends", testCompactEnds},
		{"compaction fenced", testCompactFenced},
		{"compaction of kept buckets", testCompactKept},
		{"merge", testMerge},
		{"compaction bound", testCompactBound},
		{"compaction model", testCompactionModel},
		{"verify", testVerify},
		{"damage", testDamage},
		{"damaged rows", testDamagedRows},
		{"disk full", testDiskFull},
		{"fence", testFence},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, s)
		})
	}
}

// bench is one store on the bench of a test, which can be closed and opened again.
type bench struct {
	t     *testing.T
	s     Subject
	o     engine.Options
	store state.LogStore
	rolls *rollCounter
}

// open opens a store of its own for the test and closes it at the end.
func open(t *testing.T, s Subject, o engine.Options) *bench {
	t.Helper()
	b := &bench{t: t, s: s, o: o, rolls: &rollCounter{}}
	b.o.Dir = t.TempDir()
	b.o.Logger = slog.New(b.rolls)
	b.o.BallastBytes = -1
	b.reopen()
	t.Cleanup(func() { b.store.Close() })
	return b
}

func (b *bench) reopen() {
	b.t.Helper()
	if b.store != nil {
		b.close()
	}
	s, err := b.s.Open(b.o)
	if err != nil {
		b.t.Fatalf("open: %v", err)
	}
	b.store = s
}

func (b *bench) close() {
	b.t.Helper()
	if err := b.store.Close(); err != nil {
		b.t.Fatalf("close: %v", err)
	}
}

// pending is the outcome of an Append or Barrier.
type pending struct {
	b    *bench
	done chan error
	runs atomic.Int32
}

func (b *bench) send(c state.Class, w state.Write) *pending {
	p := b.pending()
	b.store.Append(c, w, p.settle)
	return p
}

func (b *bench) pending() *pending { return &pending{b: b, done: make(chan error, 8)} }

func (p *pending) settle(err error) {
	p.runs.Add(1)
	p.done <- err
}

// wait returns what done was called with. A store that is driven by hand is driven.
func (p *pending) wait() error {
	p.b.t.Helper()
	if d, ok := p.b.store.(interface{ Step() bool }); ok {
		for len(p.done) == 0 && d.Step() {
		}
	}
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		p.b.t.Fatal("done did not run")
		return nil
	}
}

// settled reports whether done ran, without waiting. A store that is driven by hand does all it would do by
// itself.
func (p *pending) settled() bool {
	if d, ok := p.b.store.(interface{ Step() bool }); ok {
		for d.Step() {
		}
	}
	return p.runs.Load() > 0
}

// put makes a write durable.
func (b *bench) put(c state.Class, ws ...state.Write) {
	b.t.Helper()
	for _, w := range ws {
		w = lend(w)
		if err := b.send(c, w).wait(); err != nil {
			b.t.Fatalf("append: %v", err)
		}
		takeBack(w)
	}
}

// lend copies all bytes of a write: the store owns them until done, and not a moment longer.
func lend(w state.Write) state.Write {
	w.Tail.Conf = bytes.Clone(w.Tail.Conf)
	w.Entries, w.Carried = slices.Clone(w.Entries), slices.Clone(w.Carried)
	for i := range w.Entries {
		w.Entries[i].Frame = bytes.Clone(w.Entries[i].Frame)
	}
	for i := range w.Carried {
		w.Carried[i].Value = bytes.Clone(w.Carried[i].Value)
	}
	return w
}

// takeBack uses a lent write's bytes for something else.
func takeBack(w state.Write) {
	clear(w.Tail.Conf)
	for _, e := range w.Entries {
		clear(e.Frame)
	}
	for _, r := range w.Carried {
		clear(r.Value)
	}
}

// check compares the store with models.
func (b *bench) check(ls ...*Log) {
	b.t.Helper()
	for _, l := range ls {
		if err := Check(b.store, l); err != nil {
			b.t.Fatal(err)
		}
	}
}

// barrier passes a barrier.
func (b *bench) barrier(l *Log, by state.Incarnation) {
	b.t.Helper()
	p := b.pending()
	b.store.Barrier(l.ID, by, p.settle)
	if err := p.wait(); err != nil {
		b.t.Fatalf("barrier: %v", err)
	}
}

// rollCounter counts the buckets that a store says it has begun.
type rollCounter struct{ n atomic.Int32 }

func (c *rollCounter) Enabled(context.Context, slog.Level) bool { return true }

func (c *rollCounter) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "log bucket rolled" {
		c.n.Add(1)
	}
	return nil
}

func (c *rollCounter) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *rollCounter) WithGroup(string) slog.Handler      { return c }
