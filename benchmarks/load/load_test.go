package load

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// memory is a door to a list in memory. spoil may change what it keeps of a value: nothing, or more.
type memory struct {
	mu     sync.Mutex
	values [][]byte
	wrote  chan struct{}
	spoil  func(n int, v []byte) [][]byte
	slow   time.Duration // until a record is answered
	refuse error
}

func newMemory() *memory { return &memory{wrote: make(chan struct{}, 1)} }

func (m *memory) Send(_ context.Context, v []byte, done func(error)) {
	if m.slow > 0 {
		time.AfterFunc(m.slow, func() { m.keep(v); done(m.refuse) })
		return
	}
	m.keep(v)
	done(m.refuse)
}

func (m *memory) Put(ctx context.Context, v []byte) error {
	answer := make(chan error, 1)
	m.Send(ctx, v, func(err error) { answer <- err })
	return <-answer
}

func (m *memory) keep(v []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := [][]byte{v}
	if m.spoil != nil {
		kept = m.spoil(len(m.values), v)
	}
	m.values = append(m.values, kept...)
	select {
	case m.wrote <- struct{}{}:
	default:
	}
}

func (m *memory) Close() {}

// memoryReader reads what a memory keeps.
type memoryReader struct {
	m  *memory
	at int
}

func (r *memoryReader) Read(ctx context.Context, each func([]byte) error) error {
	for {
		r.m.mu.Lock()
		values := r.m.values[r.at:]
		r.m.mu.Unlock()
		for _, v := range values {
			r.at++
			if err := each(v); err != nil {
				return err
			}
		}
		if len(values) > 0 {
			return nil
		}
		select {
		case <-r.m.wrote:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *memoryReader) Close() {}

// Goal: the checks find what a server does to records: loses, doubles, swaps, tears. Method: doors that do
// one of these, beside one that does none; fake time.
func TestTallyFinds(t *testing.T) { synctest.Test(t, tallyFinds) }

func tallyFinds(t *testing.T) {
	var held []byte
	for name, test := range map[string]struct {
		spoil func(n int, v []byte) [][]byte
		want  string
	}{
		"nothing": {nil, ""},
		"loss": {func(n int, v []byte) [][]byte {
			if m, _ := Parse(v); m.Sequence == 5 {
				return nil
			}
			return [][]byte{v}
		}, "1 of 100 acknowledged records were lost, the first is 5"},
		"double": {func(n int, v []byte) [][]byte {
			if n == 5 {
				return [][]byte{v, v}
			}
			return [][]byte{v}
		}, "1 records are there twice"},
		"swap": {func(n int, v []byte) [][]byte {
			switch m, _ := Parse(v); m.Sequence {
			case 5:
				held = v
				return nil
			case 6:
				return [][]byte{v, held}
			}
			return [][]byte{v}
		}, "1 records are out of order"},
		"tear": {func(n int, v []byte) [][]byte {
			if n == 5 {
				v[40] ^= 1
			}
			return [][]byte{v}
		}, "checksum"},
	} {
		m := newMemory()
		m.spoil = test.spoil
		w := &Writing{Writers: []Writer{m}, ValueBytes: 100, InFlight: 10, Records: 100}
		out, err := w.Run(t.Context())
		if err != nil || out.Records != 100 {
			t.Fatalf("%s: %d records, %v", name, out.Records, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		tally := w.Tally()
		_, err = ReadBack(ctx, &memoryReader{m: m}, tally, 100, nil)
		cancel()
		err = errors.Join(err, tally.Verify(out.Acked, true))
		if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// Goal: an open load keeps its rate and counts the wait behind a slow server from the intended moment.
// Method: a server that needs 20 ms, one record in flight, one every 5 ms: what is sent n-th waits longer
// and longer; end to end the same, and nothing is left running.
func TestOpenLoad(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	m := newMemory()
	m.slow = 20 * time.Millisecond
	w := &Writing{Writers: []Writer{m}, ValueBytes: 64, InFlight: 1, Rate: 200, For: 300 * time.Millisecond, Timed: true}
	out, took, err := EndToEnd(t.Context(), w, &memoryReader{m: m}, true, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if most := out.Latencies.Max(); most < 100*time.Millisecond {
		t.Errorf("the longest wait is %s: it was not counted from the intended moment", most)
	}
	if took.Count() != out.Acked[0] || took.Percentile(50) < m.slow-time.Millisecond {
		t.Errorf("%d latencies of %d records, p50 %s", took.Count(), out.Acked[0], took.Percentile(50))
	}
}

// Goal: an open load sends close to the intended moments. Method: a server that answers at once: where the
// machine has time, most records are early enough to show that no timer of a millisecond is in the way.
func TestPacer(t *testing.T) {
	best := time.Hour
	for tries := 0; tries < 50 && best > 10*time.Millisecond; tries++ { // a busy machine may be late
		m := newMemory()
		w := &Writing{Writers: []Writer{m}, ValueBytes: 64, InFlight: 100, Rate: 1000, For: 100 * time.Millisecond, Timed: true}
		out, err := w.Run(t.Context())
		if err != nil || out.Acked[0] != 100 {
			t.Fatalf("%v records at 1000/s in 100 ms, %v", out.Acked, err)
		}
		best = min(best, out.Latencies.Percentile(50))
	}
	if best > 10*time.Millisecond {
		t.Errorf("half of the records were sent %s after their moment, or more", best)
	}
	t.Logf("best p50 after the moment: %s", best)
}

// Goal: a closed load warms up, keeps to its bound, measures what it says, and stops when it is refused.
// Method: fake time; a server that answers late, one that is so late that nothing comes while it would be measured, then
// one that refuses.
func TestClosedLoad(t *testing.T) { synctest.Test(t, closedLoad) }

func closedLoad(t *testing.T) {
	m := newMemory()
	m.slow = time.Millisecond
	events := ""
	w := &Writing{
		Writers: []Writer{m, m}, ValueBytes: LeastValue, InFlight: 4, WarmUp: 20 * time.Millisecond,
		For: 100 * time.Millisecond, Timed: true,
		Started: func() error { events += "started "; return nil }, Ended: func() error { events += "ended"; return nil },
	}
	out, err := w.Run(t.Context())
	if err != nil || events != "started ended" {
		t.Fatalf("%v, %q", err, events)
	}
	all := out.Acked[0] + out.Acked[1]
	if out.Records == 0 || out.Records >= all || out.Latencies.Percentile(50) < m.slow-100*time.Microsecond {
		t.Errorf("%d of %d records were measured, p50 %s", out.Records, all, out.Latencies.Percentile(50))
	}
	m = newMemory()
	m.slow = time.Second
	for _, inFlight := range []int{1, 4} {
		w = &Writing{Writers: []Writer{m}, ValueBytes: 100, InFlight: inFlight, WarmUp: time.Millisecond, For: time.Millisecond, Timed: true}
		if out, err := w.Run(t.Context()); err != nil || out.Records == 0 || out.Latencies.Percentile(50) < m.slow-time.Millisecond {
			t.Errorf("%d in flight, late answers: %+v, %v", inFlight, out, err)
		}
	}
	refused := errors.New("refused")
	m = newMemory()
	m.refuse = refused
	for _, inFlight := range []int{1, 4} {
		w = &Writing{Writers: []Writer{m}, ValueBytes: 100, InFlight: inFlight, Records: 1000}
		if _, err := w.Run(t.Context()); !errors.Is(err, refused) {
			t.Errorf("%d in flight: a refusal ends with %v", inFlight, err)
		}
	}
	if len(m.values) > 20 {
		t.Errorf("%d records after a refusal", len(m.values))
	}
	if _, err := (&Writing{Writers: []Writer{m}, ValueBytes: LeastValue - 1, InFlight: 1}).Run(t.Context()); err == nil {
		t.Error("a value without room for its mark")
	}
}

// Goal: reading a mark never panics, and takes only what was made here. Method: arbitrary bytes, and one
// made here with a flipped bit.
func FuzzParse(f *testing.F) {
	made := newSource(7, 1, 100, false).value(3, time.Second)
	f.Add(made, uint16(0))
	f.Add([]byte("short"), uint16(9))
	f.Fuzz(func(t *testing.T, b []byte, bit uint16) {
		if m, err := Parse(b); err == nil && len(b) >= LeastValue {
			NewTally(m.Run, 1).Take(Mark{Run: m.Run, Producer: m.Producer, Sequence: min(m.Sequence, 1<<20)})
		}
		torn := append([]byte(nil), made...)
		torn[int(bit/8)%len(torn)] ^= 1 << (bit % 8)
		if _, err := Parse(torn); err == nil {
			t.Errorf("a flipped bit %d was not noticed", bit)
		}
	})
}
