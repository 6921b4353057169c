package drive

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millstream-io/millstream/benchmarks/load"
)

// memory is a server in this process, which may lose records that it has acknowledged.
type memory struct {
	mu     sync.Mutex
	values map[string][][]byte
	loses  int // the record of a topic that is lost, -1 for none
}

func (m *memory) Create(context.Context, int, ...string) error { return nil }

func (m *memory) Writer(_ context.Context, topic string) (load.Writer, error) {
	return memoryWriter{m, topic}, nil
}

func (m *memory) Reader(_ context.Context, topics ...string) (load.Reader, error) {
	return &memoryReader{m: m, topics: topics, at: map[string]int{}}, nil
}

type memoryWriter struct {
	m     *memory
	topic string
}

func (w memoryWriter) Send(ctx context.Context, v []byte, done func(error)) { done(w.Put(ctx, v)) }

func (w memoryWriter) Put(_ context.Context, v []byte) error {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if len(w.m.values[w.topic]) == w.m.loses {
		v = nil
	}
	w.m.values[w.topic] = append(w.m.values[w.topic], v)
	return nil
}

func (memoryWriter) Close() {}

type memoryReader struct {
	m      *memory
	topics []string
	at     map[string]int
}

func (r *memoryReader) Read(ctx context.Context, each func([]byte) error) error {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	n := 0
	for _, topic := range r.topics {
		for _, v := range r.m.values[topic][r.at[topic]:] {
			r.at[topic]++
			n++
			if v == nil {
				continue
			}
			if err := each(v); err != nil {
				return err
			}
		}
	}
	if n == 0 && ctx.Err() == nil {
		return errors.New("the end of the log")
	}
	return ctx.Err()
}

func (*memoryReader) Close() {}

// Goal: a load has its figures, and one that lost an acknowledged record is INVALID. Method: a server that
// loses one, beside one that does not, in every way of driving.
func TestLossIsInvalid(t *testing.T) {
	if _, err := os.Stat("/proc/self/io"); err != nil {
		t.Skip("what a process uses can be told on Linux only")
	}
	type how func(context.Context, Server, Load) (map[string]float64, error)
	l := Load{Producers: 2, ValueBytes: 100, WarmUp: time.Millisecond, For: 20 * time.Millisecond, Records: 50}
	for name, test := range map[string]struct {
		how    how
		one    bool
		figure string
	}{
		"produce": {Produce, false, "rate_per_s"}, "publish": {Produce, true, "p50_ms"},
		"consume": {Consume, false, "consume_per_s"},
	} {
		for _, loses := range []int{-1, 0} { // the first one is always sent
			l.OneByOne = test.one
			s := Server{Door: &memory{values: map[string][][]byte{}, loses: loses}, Pid: os.Getpid(), Ordered: true}
			figures, err := test.how(t.Context(), s, l)
			var invalid *Invalid
			switch {
			case loses < 0 && (err != nil || figures[test.figure] <= 0):
				t.Errorf("%s: %v, %v", name, figures, err)
			case loses >= 0 && (!errors.As(err, &invalid) || !strings.Contains(err.Error(), "acknowledged records were lost")):
				t.Errorf("%s: a lost record gives %v", name, err)
			}
		}
	}
}
