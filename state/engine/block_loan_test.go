package engine

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// lentOut is what a cache has given away and not got back.
func lentOut(c *blockCache) (held, pins int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.places.at {
		if b != nil {
			pins += b.pins
		}
	}
	return c.lent, pins
}

// fullBucket is a bucket of one log whose values touch, each of size bytes of its own, and the values.
func fullBucket(t *testing.T, values, size int) (*frameBucket, [][]byte) {
	t.Helper()
	b, _ := sparseBucket(t, frameBlock)
	rows, err := openRows(filepath.Join(t.TempDir(), rowsName), true, badgerLogger{fence: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rows.close(); err != nil {
			t.Error(err)
		}
	})
	b.rows = rows
	rng := rand.NewChaCha8([32]byte{1})
	var want [][]byte
	var group []row
	for i := range values {
		v := make([]byte, size)
		_, _ = rng.Read(v) // never fails
		want = append(want, v)
		group = append(group, row{makeKey(1, kindEntry, uint64(i+1)), v})
	}
	b.noSync = true
	if err := b.append(group); err != nil {
		t.Fatal(err)
	}
	return b, want
}

// Goal: what is lent stays as it is until it is given back, whoever reads meanwhile and whatever becomes of the file;
// then nothing is held any more. Method: readers that go through a log larger than the cache, with values that go
// over the borders of blocks; each gives a loan back long after it was made, some after the cache was closed.
func TestLoan(t *testing.T) {
	t.Parallel()
	b, want := fullBucket(t, 100, 300<<10)
	b.blocks.most = 16
	type lent struct {
		loan   *state.Loan
		from   int
		values [][]byte
	}
	var out []lent
	back := func(l lent) {
		for i, v := range l.values {
			if !bytes.Equal(v, want[l.from+i]) {
				t.Errorf("value %d has changed", l.from+i)
			}
		}
		l.loan.Release()
		l.loan.Release() // an empty one
	}
	blocks := 0
	for round := range 3 {
		for from := 0; from < len(want); {
			l := lent{loan: new(state.Loan), from: from}
			var full bool
			var err error
			l.values, full, err = b.lendMany(makeKey(1, kindEntry, uint64(from+1)), 100, 1<<20, l.loan)
			if err != nil || len(l.values) == 0 || !full && from+len(l.values) < len(want) {
				t.Fatalf("%d values from %d on, full %v, %v", len(l.values), from, full, err)
			}
			if held, _ := lentOut(b.blocks); held > b.blocks.most/lentPart {
				t.Fatalf("%d blocks are lent", held)
			}
			blocks += len(l.loan.Holds())
			from += len(l.values)
			if out = append(out, l); len(out) > 4 && round < 2 {
				back(out[0])
				out = out[1:]
			}
		}
	}
	if blocks == 0 {
		t.Error("nothing was lent")
	}
	b.blocks.drop(b.frames)
	back(out[0])
	b.blocks.close()
	for _, l := range out[1:] {
		back(l)
	}
	if held, pins := lentOut(b.blocks); held != 0 || pins != 0 {
		t.Errorf("%d blocks are held, %d pins", held, pins)
	}
}

// Goal: who keeps what he borrowed takes no more than his part of the cache, others are served, and what he keeps is
// charged until it is back. Method: a reader that gives nothing back goes through a log three times the size of the
// cache; another one reads on; then all is given back, and a reader is lent blocks again.
func TestLoanLimit(t *testing.T) {
	t.Parallel()
	b, want := fullBucket(t, 400, 100<<10)
	b.blocks.most = 12
	var kept []*state.Loan
	borrow := func(from int) (*state.Loan, bool) {
		t.Helper()
		loan := new(state.Loan)
		values, _, err := b.lendMany(makeKey(1, kindEntry, uint64(from+1)), 400, 400<<10, loan)
		if err != nil || len(values) == 0 {
			t.Fatalf("from %d on: %d values, %v", from, len(values), err)
		}
		for i, v := range values {
			if !bytes.Equal(v, want[from+i]) {
				t.Fatalf("value %d is wrong", from+i)
			}
		}
		return loan, len(loan.Holds()) > 0
	}
	lends := 0
	for from := 0; from < 400; from += 4 {
		loan, ok := borrow(from)
		if ok {
			lends++
		}
		kept = append(kept, loan)
		if held, _ := lentOut(b.blocks); held > b.blocks.most/lentPart {
			t.Fatalf("%d of %d blocks are lent", held, b.blocks.most)
		}
	}
	if _, ok := borrow(100); ok || lends == 0 || lends == len(kept) {
		t.Fatalf("%d of %d loans hold something, and then one more: %v", lends, len(kept), ok)
	}
	b.blocks.mu.Lock()
	places, memory := len(b.blocks.places.at), b.blocks.scratched
	b.blocks.mu.Unlock()
	if places > 12 || memory > 12/scratchPart {
		t.Errorf("%d blocks and %d scratches", places, memory)
	}
	for _, l := range kept {
		l.Release()
	}
	again := false
	for from := 0; from < 40; from += 4 {
		loan, ok := borrow(from)
		again = again || ok
		loan.Release()
	}
	if held, pins := lentOut(b.blocks); !again || held != 0 || pins != 0 {
		t.Errorf("lent again: %v; %d held, %d pins", again, held, pins)
	}
}

// Goal: blocks that follow each other in a file do so in memory, so that few values are copied. Method: a reader that
// goes through more than the cache holds; count the borders at which a value was copied.
func TestBlocksSideBySide(t *testing.T) {
	t.Parallel()
	b, _ := sparseBucket(t, 100<<20)
	b.ahead.earn(1 << 40)
	borders, whole := 0, 0
	for n := int64(1); n < 99; n++ {
		b.ahead.earn(1 << 40)
		var loan state.Loan
		wants := []wantedValue{{index: uint64(n), at: n*blockBytes - 100, size: 200}}
		if b.lentBlocks(wants, 200, &loan) == nil && !b.askBlocks(wants[0], true) {
			continue
		}
		loan.Release()
		if pieces := b.lentBlocks(wants, 200, &loan); pieces != nil {
			borders++
			if len(pieces) == 1 {
				whole++
			}
		}
		loan.Release()
	}
	if borders < 60 || whole < borders*8/10 {
		t.Errorf("at %d of %d borders the value is in one piece", whole, borders)
	}
}

// Goal: a loan that is open costs nobody a block that is newer on the disk: a block that was still written to is read
// again. Method: borrow the end of a file, let it grow, borrow what is new.
func TestLoanOfGrowingBlock(t *testing.T) {
	t.Parallel()
	b, _ := sparseBucket(t, frameBlock)
	write := func(value byte) (at int64) {
		at = b.frames.end
		h, group, err := b.frames.write([]row{{makeKey(1, kindEntry, 1), bytes.Repeat([]byte{value}, 50_000)}})
		if err != nil {
			t.Fatal(err)
		}
		b.frames.settle(h, group)
		return at
	}
	var loans [3]state.Loan
	for i := range loans {
		at := write(byte(i + 1))
		wants := []wantedValue{{at: at, size: int(b.frames.end - at)}}
		var pieces [][]byte
		for range 3 { // what is there does not reach so far, then it is asked for again
			b.ahead.earn(blockBytes)
			if pieces = b.lentBlocks(wants, int64(wants[0].size), &loans[i]); pieces != nil {
				break
			}
			b.askBlocks(wants[0], true)
		}
		if len(pieces) != 1 || !bytes.Contains(pieces[0], bytes.Repeat([]byte{byte(i + 1)}, 50_000)) {
			t.Fatalf("group %d is not lent", i)
		}
	}
	if err := os.Truncate(b.frames.name, frameBlock); err != nil {
		t.Fatal(err)
	}
	for i := range loans {
		loans[i].Release()
	}
	if held, pins := lentOut(b.blocks); held != 0 || pins != 0 {
		t.Errorf("%d blocks are held, %d pins", held, pins)
	}
}

// What it costs to borrow a log of large entries that is not in memory.
func BenchmarkLend(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(Options{Dir: dir, BallastBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const entries, size = 256, 256 << 10
	w := state.Write{Replica: 1, By: 1, Sync: true}
	for i := range uint64(entries) {
		e := state.Entry{Index: i + 1, Term: 1, Type: state.EntryRecords, Base: record.Offset(i), Last: record.Offset(i),
			Frame: make([]byte, size)}
		e.Seal()
		w.Entries = append(w.Entries, e)
		if len(w.Entries) == 16 {
			w.Tail = state.Tail{First: 1, Last: i + 1, LastTerm: 1, Term: 1, Commit: i + 1}
			done := make(chan error, 1)
			s.Append(state.ClassLong, w, func(err error) { done <- err })
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			w.Entries = nil
		}
	}
	b.SetBytes(entries * size)
	b.ReportAllocs()
	for b.Loop() {
		for i := uint64(1); i <= entries; {
			var loan state.Loan
			got, err := s.Lend(1, i, entries+1, 1<<20, nil, &loan)
			if err != nil {
				b.Fatal(err)
			}
			loan.Release()
			i += uint64(len(got))
		}
	}
}
