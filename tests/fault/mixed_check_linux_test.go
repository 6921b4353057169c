package fault

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/millstream-io/millstream/cluster"
)

// checkMixed reads every topic of the mixed load and returns in what it is not what it has to be.
func checkMixed(t *testing.T, address string, l *ledger) (faults []error) {
	t.Helper()
	c := connect(t, address, kgo.MaxVersions(kversion.V2_8_0())) // topics by name
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for topic, s := range shapes {
		for p := range int32(partitions) {
			got, err := readStretch(ctx, c, part{topic, p})
			if err != nil {
				t.Fatalf("read %s/%d: %v", topic, p, err)
			}
			faults = append(faults, l.compare(part{topic, p}, s, got)...)
		}
	}
	return faults
}

// mustAgreeMixed fails the test where a log is not what it has to be.
func mustAgreeMixed(t *testing.T, address string, l *ledger, when string, args ...any) {
	t.Helper()
	if faults := checkMixed(t, address, l); len(faults) > 0 {
		t.Fatalf("%s: %d faults (seed %d), the first ones %v", fmt.Sprintf(when, args...), len(faults), *seed,
			faults[:min(5, len(faults))])
	}
}

// readStretch reads a partition to its end. Its log start may move meanwhile; what is below it does not count.
func readStretch(ctx context.Context, c *kgo.Client, p part) (*stretch, error) {
	s := &stretch{found: map[int64]copied{}}
	start, end, err := bounds(ctx, c, p)
	if err != nil {
		return nil, err
	}
	for next := start; next < end; {
		got, after, err := fetchFrom(ctx, c, p, next)
		if err != nil {
			return nil, err
		}
		if errors.Is(got.Err, kerr.OffsetOutOfRange) {
			moved, _, err := bounds(ctx, c, p)
			if err == nil && moved <= next {
				err = fmt.Errorf("%v is out of range, the log goes from %d to %d", at{p, next}, moved, end)
			}
			if err != nil {
				return nil, err
			}
			next = moved
			continue
		}
		if got.Err != nil {
			s.faults = append(s.faults, fmt.Errorf("%v is refused: %w", at{p, next}, got.Err))
			next++
			continue
		}
		for _, r := range got.Records {
			if r.Offset < next {
				s.faults = append(s.faults, fmt.Errorf("%v came, want offset %d", at{p, r.Offset}, next))
			}
			if err := whole(r.Value); r.Value != nil && err != nil {
				s.faults = append(s.faults, fmt.Errorf("%v is torn: %w", at{p, r.Offset}, err))
			}
			s.found[r.Offset], next = copyOf(r.Key, r.Value), r.Offset+1
		}
		if next = max(next, after); len(got.Records) == 0 && after == 0 {
			return nil, fmt.Errorf("nothing came at %v, the log ends at %d", at{p, next}, end)
		}
	}
	if s.start, _, err = bounds(ctx, c, p); err != nil {
		return nil, err
	}
	s.end = max(end, s.start) // a request that was on its way may have added to the log since
	for offset := range s.found {
		if offset < s.start {
			delete(s.found, offset)
		}
	}
	return s, nil
}

// bounds are the log start and the high watermark.
func bounds(ctx context.Context, c *kgo.Client, p part) (start, end int64, err error) {
	a := kadm.NewClient(c)
	starts, err := a.ListStartOffsets(ctx, p.topic)
	if err != nil {
		return 0, 0, err
	}
	ends, err := a.ListEndOffsets(ctx, p.topic)
	if err != nil {
		return 0, 0, err
	}
	first, _ := starts.Lookup(p.topic, p.partition)
	last, _ := ends.Lookup(p.topic, p.partition)
	return first.Offset, last.Offset, errors.Join(first.Err, last.Err)
}

// fetchFrom is fetch for a log with holes: it also returns where to go on, 0 where nothing came.
func fetchFrom(ctx context.Context, c *kgo.Client, p part, from int64) (kgo.FetchPartition, int64, error) {
	answer, err := fetchOnce(ctx, c, p, from)
	if err != nil {
		return kgo.FetchPartition{}, 0, err
	}
	opts := kgo.ProcessFetchPartitionOpts{Topic: p.topic, Partition: p.partition, Offset: from}
	got, after := kgo.ProcessFetchPartition(opts, answer, kgo.DefaultDecompressor(), nil)
	if after <= from {
		after = 0
	}
	return got, after, nil
}

// inspect verifies a data directory of which no member runs.
func inspect(t *testing.T, dir string) {
	t.Helper()
	i, err := cluster.Inspect(dir)
	if err != nil {
		t.Fatalf("inspect: %v", err)
	}
	defer i.Close()
	if err := i.MetadataErr(); err != nil {
		t.Fatalf("inspect: the metadata: %v", err)
	}
	if lost := i.Lost(); len(lost) > 0 {
		t.Errorf("inspect: durable writes are lost: %+v", lost)
	}
	err = i.Verify(t.Context(), func(d cluster.DamagedRange) {
		t.Errorf("inspect: damaged: %v, entries %d to %d of class %s: %s", d, d.First, d.Last, d.Class, d.Err)
	})
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
}
