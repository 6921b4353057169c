package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ReadBack reads until the tally has so many records, and returns how long that took. each, where it is not
// nil, sees every record that counts. It blocks as long as ctx allows.
func ReadBack(ctx context.Context, r Reader, t *Tally, records int64, each func(Mark)) (time.Duration, error) {
	begin := time.Now()
	for t.Taken() < records {
		err := r.Read(ctx, func(value []byte) error {
			m, err := Parse(value)
			if err != nil {
				return err
			}
			if t.Take(m) && each != nil {
				each(m)
			}
			return nil
		})
		if err != nil {
			return time.Since(begin), fmt.Errorf("after %d of %d records: %w", t.Taken(), records, err)
		}
	}
	return time.Since(begin), nil
}

// EndToEnd runs a load and reads it beside, until everything that was acknowledged is there. The latencies
// are those from the intended moment to the reader. patience bounds how long it reads after the last
// acknowledgement. Error: also what was lost or is there twice.
func EndToEnd(ctx context.Context, w *Writing, r Reader, ordered bool, patience time.Duration) (
	*Written, *Latencies, error,
) {
	w.Begin()
	t, took := w.Tally(), NewLatencies()
	reading, stop := context.WithCancel(ctx)
	defer stop()
	enough := make(chan int64, 1) // how many there are in all, once that is known
	ended := make(chan error, 1)
	go func() { ended <- readBeside(reading, w, r, t, took, enough) }()
	written, err := w.Run(ctx)
	if written == nil {
		stop()
		<-ended
		return nil, nil, err
	}
	var all int64
	for _, n := range written.Acked {
		all += n
	}
	enough <- all
	limit := time.AfterFunc(patience, stop)
	defer limit.Stop()
	readErr := <-ended
	switch verified := t.Verify(written.Acked, ordered); {
	case verified != nil:
		readErr = errors.Join(verified, readErr)
	case reading.Err() != nil:
		readErr = nil // the limit came after the last record
	}
	return written, took, errors.Join(err, readErr)
}

// readBeside reads until as many records are there as enough says.
func readBeside(ctx context.Context, w *Writing, r Reader, t *Tally, took *Latencies, enough <-chan int64) error {
	all := int64(-1)
	known := func() bool {
		select {
		case all = <-enough:
		default:
		}
		return all >= 0 && t.Taken() >= all
	}
	for !known() {
		// An idle reader looks again, since what there is in all may have become known.
		round, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		err := r.Read(round, func(value []byte) error {
			m, err := Parse(value)
			if err != nil {
				return nil // not ours: the topic may hold other records
			}
			if t.Take(m) && w.measured(m.Due) {
				took.Add(w.Since(m))
			}
			return nil
		})
		cancel()
		if err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
