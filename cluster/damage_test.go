package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// journal keeps log lines.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is as io.Writer's.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), what)
}

// marked is a value that can be found in the files of a log: no two numbers have the same bytes anywhere.
func marked(n uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), 'm'})
	_, _ = r.Read(b)
	return b
}

// spoil flips one bit in the middle of value number n, in each file of a data directory that holds it.
func spoil(t *testing.T, dir string, n uint64, size int) {
	t.Helper()
	mark := marked(n, size)[size/2 : size/2+32]
	found := 0
	err := filepath.WalkDir(filepath.Join(dir, "log"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "BALLAST" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := bytes.Index(b, mark)
		if at < 0 {
			return nil
		}
		found++
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte{b[at] ^ 4}, int64(at))
		return errors.Join(err, f.Close())
	})
	if err != nil || found == 0 {
		t.Fatalf("value %d is in %d files: %v", n, found, err)
	}
}

// fill writes values from to to-1 of size bytes into partition 0 of "lines", each with an offset of its number.
func fill(t *testing.T, dir string, from, to uint64, size int) {
	t.Helper()
	m, end := open(t, Config{DataDir: dir, AutoCreateTopics: true})
	defer end()
	for n := from; n < to; n++ {
		got, err := m.Client().Produce(t.Context(), client.Record{Topic: "lines", Value: marked(n, size)})
		if err != nil || got != record.Offset(n) {
			t.Fatalf("value %d is at %d: %v", n, got, err)
		}
	}
}

func open(t *testing.T, c Config) (m *Member, end func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), watchLimit)
	defer cancel()
	m, err := Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return m, end
}

// readFrom reads until an error, or until offset to has been read; it returns what it read, by offset.
func readFrom(t *testing.T, m *Member, from, to record.Offset) (map[record.Offset][]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), watchLimit)
	defer cancel()
	c := m.Client().Consumer()
	defer c.Close()
	if err := c.Assign(ctx, "lines", client.FromOffset(from)); err != nil {
		return nil, err
	}
	got := map[record.Offset][]byte{}
	for {
		rs, err := c.Poll(ctx)
		for _, r := range rs {
			got[r.Offset] = bytes.Clone(r.Value)
		}
		if _, done := got[to]; err != nil || done {
			return got, err
		}
	}
}

// Goal: one damaged entry costs its readers that entry and nothing else; it is named once, with its offsets,
// in the log, in a metric and on the door; writes go on. Method: flip a bit of one value that no start reads
// again; read before it, at it, behind it.
func TestDamagedRange(t *testing.T) {
	const size, n, bad = 600_000, 32, 5
	dir := t.TempDir()
	fill(t, dir, 0, n, size)
	spoil(t, dir, bad, size)
	var log journal
	m, _ := open(t, Config{DataDir: dir, HTTP: ":0", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		got, err := readFrom(t, m, 0, n-1)
		if len(got) != bad || !errors.Is(err, fault.CorruptRecord) || !strings.Contains(err.Error(), "lines/0 offset 5 ") {
			t.Fatalf("%d records before the damage, then: %v", len(got), err)
		}
		if got, err := readFrom(t, m, bad+1, n-1); err != nil || len(got) != n-bad-1 {
			t.Fatalf("%d records behind the damage, then: %v", len(got), err)
		}
	}
	for from := range record.Offset(n) { // wherever a search begins
		got, err := readFrom(t, m, from, from)
		if (err != nil) != (from == bad) {
			t.Errorf("offset %d: %d records, %v", from, len(got), err)
		}
		for o, v := range got {
			if !bytes.Equal(v, marked(uint64(o), size)) {
				t.Errorf("offset %d holds something else", o)
			}
		}
	}
	if _, err := m.Client().Produce(t.Context(), client.Record{Topic: "lines", Value: []byte("on")}); err != nil {
		t.Errorf("a write: %v", err)
	}
	if n := log.count("damage found"); n != 1 {
		t.Errorf("the log names the damage %d times:\n%s", n, log.text.String())
	}
	if n := log.count("topic=lines partition=0 offset=5 to=5"); n != 1 {
		t.Errorf("the log does not say where:\n%s", log.text.String())
	}
	awaitMetric(t, m, `millstream_partition_damaged_ranges{partition="0",topic="lines"}`, 1)
	awaitMetric(t, m, `millstream_store_damaged_ranges`, 1)
	if code, text := ask(t, m.HTTPAddr(), "/healthz"); code != http.StatusOK || !strings.Contains(text, "note: damaged: lines/0 offset 5\n") {
		t.Errorf("health: %d %s", code, text)
	}
	if code, text := ask(t, m.HTTPAddr(), "/damage"); code != http.StatusOK || !strings.Contains(text, `"from": 5,`) {
		t.Errorf("damage: %d %s", code, text)
	}
}

// Goal: a partition that cannot start for a damaged entry is read, from both sides of it, and refuses writes
// with the reason; the others work. Method: flip a bit of one of the newest values.
func TestReadOnlyPartition(t *testing.T) {
	const size, n = 3000, 30
	for _, bad := range []record.Offset{0, 11, n - 1} {
		t.Run(fmt.Sprint("offset ", bad), func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, 0, n, size)
			spoil(t, dir, uint64(bad), size)
			m, end := open(t, Config{DataDir: dir, AutoCreateTopics: true, HTTP: ":0"})
			got, err := readFrom(t, m, 0, n-1)
			if len(got) != int(bad) || !errors.Is(err, fault.CorruptRecord) {
				t.Errorf("%d records before the damage, then: %v", len(got), err)
			}
			if bad < n-1 {
				if got, err := readFrom(t, m, bad+1, n-1); err != nil || len(got) != n-1-int(bad) {
					t.Errorf("%d records behind the damage, then: %v", len(got), err)
				}
				waitsAtTheEnd(t, m, n)
			}
			_, err = m.Client().Produce(t.Context(), client.Record{Topic: "lines", Value: []byte("on")})
			if !errors.Is(err, fault.PolicyViolation) || !strings.Contains(err.Error(), "lines/0 takes no writes") {
				t.Errorf("a write: %v", err)
			}
			if _, err := m.Client().Produce(t.Context(), client.Record{Topic: "other", Value: []byte("on")}); err != nil {
				t.Errorf("a write elsewhere: %v", err)
			}
			if code, text := ask(t, m.HTTPAddr(), "/readyz"); code != http.StatusServiceUnavailable ||
				!strings.Contains(text, "partition lines/0 takes no writes") {
				t.Errorf("ready: %d %s", code, text)
			}
			if code, text := ask(t, m.HTTPAddr(), "/healthz"); code != http.StatusOK {
				t.Errorf("health: %d %s", code, text)
			}
			awaitMetric(t, m, `millstream_partition_read_only{partition="0",topic="lines"}`, 1)
			if err := m.Client().DeleteTopic(t.Context(), "lines"); err != nil {
				t.Errorf("delete it: %v", err)
			}
			awaitMetric(t, m, `millstream_partition_read_only{partition="0",topic="lines"}`, -1)
			end()
		})
	}
}

// waitsAtTheEnd wants a reader at the end of "lines" to wait, as one of a whole log does.
func waitsAtTheEnd(t *testing.T, m *Member, end record.Offset) {
	t.Helper()
	c := m.Client().Consumer()
	defer c.Close()
	if err := c.Assign(t.Context(), "lines", client.FromOffset(end)); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if rs, err := c.Poll(ctx); len(rs) > 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("at the end: %d records, %v", len(rs), err)
	}
}

// shelf is a store of one log, entry i at index i+2, of which some entries are damaged. A search that would
// look at a damaged one fails, as the disk's does.
type shelf struct {
	state.LogStore
	entries []state.Entry
	damaged map[uint64]bool
}

func (s *shelf) Load(record.ReplicaID) (state.Tail, []state.Row, error) {
	return state.Tail{First: 2, Last: uint64(len(s.entries)) + 1}, nil, nil
}

func (s *shelf) Entries(_ record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry) ([]state.Entry, error) {
	for i := lo; i < hi && maxBytes > 0; i++ {
		switch {
		case i < 2 || int(i-2) >= len(s.entries):
			return dst, fault.New(fault.OffsetOutOfRange, "entry %d", i)
		case s.damaged[i]:
			return dst, fault.New(fault.CorruptRecord, "entry %d", i)
		}
		dst = append(dst, s.entries[i-2])
		maxBytes--
	}
	return dst, nil
}

func (s *shelf) Seek(record.ReplicaID, record.Offset) (uint64, error) { return 0, fault.CorruptRecord }
func (s *shelf) SeekTime(record.ReplicaID, int64) (uint64, error)     { return 0, fault.CorruptRecord }

// Goal: an offset is found wherever damage lies, unless it may itself be damaged; then the damage is found, and
// named with the offsets that are missing. Method: logs of random entries, some without records, with random
// damage; every offset; compare with a walk.
func TestSeekAroundDamage(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := &shelf{damaged: map[uint64]bool{}}
		next, ms := record.Offset(0), int64(0)
		for i := range uint64(1 + rng.IntN(30)) {
			e := state.Entry{Index: i + 2, Type: state.EntryRecords, Base: next, Last: next + record.Offset(rng.IntN(4)) - 1}
			ms += rng.Int64N(3)
			e.MaxTimestampMs = ms
			s.entries, next = append(s.entries, e), e.Next()
			s.damaged[e.Index] = rng.IntN(4) == 0
		}
		names := func(record.ReplicaID) (string, record.Partition, state.Class) { return "t", 0, state.ClassLong }
		w := &watchedStore{s, newDamageLog(slog.New(slog.DiscardHandler), names)}
		for o := record.Offset(0); o < next; o++ {
			checkSeek(t, w, s, o)
		}
		for at := int64(0); at <= ms; at++ {
			got, err := w.SeekTime(1, at)
			want := slices.IndexFunc(s.entries, func(e state.Entry) bool { return e.MaxTimestampMs >= at })
			if first := uint64(want) + 2; err != nil || got > first || got < first && !s.damaged[got] {
				t.Fatalf("seed %d: time %d is at %d, want %d or damage before it: %v", seed, at, got, first, err)
			}
		}
	}
}

func checkSeek(t *testing.T, w *watchedStore, s *shelf, o record.Offset) {
	t.Helper()
	want := uint64(slices.IndexFunc(s.entries, func(e state.Entry) bool { return e.Last >= o })) + 2
	got, err := w.Seek(1, o)
	if err != nil {
		t.Fatal(err)
	}
	if !s.damaged[want] {
		if got != want {
			t.Fatalf("offset %d is at %d, want %d; damaged %v", o, got, want, s.damaged)
		}
		return
	}
	if got > want || !s.damaged[got] {
		t.Fatalf("damaged offset %d at %d is found at %d; damaged %v", o, want, got, s.damaged)
	}
	if _, err := w.Entries(1, got, got+1, 1, nil); !errors.Is(err, fault.CorruptRecord) {
		t.Fatalf("offset %d is served: %v", o, err)
	}
	if d, ok := w.damage.known(1, want); !ok || d.From > o || d.To >= 0 && d.To < o {
		t.Fatalf("offset %d is damaged and named as %+v", o, d)
	}
}
