package engine

import (
	"sync"
	"time"
)

// pacer is the pace that committers and the background share.
type pacer struct {
	mu sync.Mutex
	p  pace
}

func (p *pacer) groupBegins() groupStart {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.p.groupBegins()
}

func (p *pacer) groupEnds(now time.Time, at groupStart, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.p.groupEnds(now, at, took)
}

func (p *pacer) sliceBegins() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.p.sliceBegins()
}

func (p *pacer) sliceEnds(now time.Time, took time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.p.sliceEnds(now, took)
}

func (p *pacer) busy(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.p.busy(now)
}

// slice does a piece of background work, and rests after it as long as those who write need, at least until
// least has gone by since it began. Where room on the volume runs out it rests no longer than that: what gives room
// back goes first then. A store that closes does not rest. Error: that of work.
func (s *Store) slice(least time.Duration, work func() error) error {
	if s.byHand {
		return work()
	}
	s.pacer.sliceBegins()
	began := s.o.Now()
	err := work()
	now := s.o.Now()
	took := now.Sub(began)
	rest := s.pacer.sliceEnds(now, took)
	if err != nil {
		return err
	}
	if rest > 0 && s.space.left() < s.o.BucketBytes {
		rest = 0
	}
	s.rest(max(rest, least-max(took, 0)))
	return nil
}

// writersBusy reports whether somebody writes.
func (s *Store) writersBusy() bool { return s.pacer.busy(s.o.Now()) }
