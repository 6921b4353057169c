package load

import "fmt"

// Tally holds what was read against what was acknowledged. It is used by one goroutine.
type Tally struct {
	run   uint64
	seen  [][]uint64 // by producer: a bit for each sequence
	last  []int64
	taken int64

	duplicates, disordered int64
}

// NewTally makes the tally of a run with so many producers.
func NewTally(run uint64, producers int) *Tally {
	t := &Tally{run: run, seen: make([][]uint64, producers), last: make([]int64, producers)}
	for i := range t.last {
		t.last[i] = -1
	}
	return t
}

// mostSequence bounds what a mark can make a tally remember: 128 MiB a producer.
const mostSequence = 1 << 30

// Take notes what was read. It reports false for a record of another run, which it does not count, and for a
// duplicate.
func (t *Tally) Take(m Mark) bool {
	if m.Run != t.run || m.Producer >= len(t.seen) || m.Sequence < 0 || m.Sequence >= mostSequence {
		return false
	}
	word, bit := m.Sequence/64, uint64(1)<<(m.Sequence%64)
	seen := t.seen[m.Producer]
	for int64(len(seen)) <= word {
		seen = append(seen, 0)
	}
	t.seen[m.Producer] = seen
	if seen[word]&bit != 0 {
		t.duplicates++
		return false
	}
	seen[word] |= bit
	if m.Sequence < t.last[m.Producer] {
		t.disordered++
	}
	t.last[m.Producer] = max(t.last[m.Producer], m.Sequence)
	t.taken++
	return true
}

// Taken is how many records were read, each counted once.
func (t *Tally) Taken() int64 { return t.taken }

// Verify says what is wrong: acknowledged records that were not read, records that were read twice and, where
// the door promises an order, those that came behind a later one. acked are the records acknowledged, by
// producer: those with the sequences below.
func (t *Tally) Verify(acked []int64, ordered bool) error {
	for p, n := range acked {
		var lost, first int64
		for s := n - 1; s >= 0; s-- {
			if word := s / 64; word >= int64(len(t.seen[p])) || t.seen[p][word]&(1<<(s%64)) == 0 {
				lost, first = lost+1, s
			}
		}
		if lost > 0 {
			return fmt.Errorf("producer %d: %d of %d acknowledged records were lost, the first is %d", p, lost, n, first)
		}
	}
	if t.duplicates > 0 {
		return fmt.Errorf("%d records are there twice", t.duplicates)
	}
	if ordered && t.disordered > 0 {
		return fmt.Errorf("%d records are out of order", t.disordered)
	}
	return nil
}
