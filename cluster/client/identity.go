package client

import (
	"context"

	"github.com/millstream-io/millstream/proto/fault"
)

// askIdentity gets a producer id where sinks wait for one, either because there is none yet or because they
// have given the current one up; other sinks keep theirs. Call it with the lock held.
func (p *producer) askIdentity() {
	if len(p.askers) == 0 || p.asking {
		return
	}
	p.asking = p.spawn(func(ctx context.Context) {
		var id identity
		err := retry(ctx, func() (err error) {
			id.id, id.epoch, err = p.t.InitProducer(ctx)
			p.note(err)
			return err
		})
		p.identified(&id, err)
	})
}

// note tells the batches that wait why they do, for their errors.
func (p *producer) note(err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.askers {
		for _, b := range s.queue {
			if !b.resolved {
				b.err = err
			}
		}
	}
}

// identified brings the answer to askIdentity. A refusal fails what waited for it; what comes later asks
// again.
func (p *producer) identified(id *identity, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking = false
	askers := p.askers
	p.askers = nil
	var e effects
	for _, s := range askers {
		if err != nil {
			s.failUnsent(fault.New(fault.CodeOf(err), "no producer id for %s/%d: %w", s.topic, s.partition, err), &e)
		}
		p.touch(s)
	}
	if err == nil {
		if p.current != nil {
			p.o.logger.Info("producer goes on under another id", "producer", id.id)
		}
		p.current = id
	}
	p.finish(e.finished)
}

// topicChanged looks whether a topic was deleted and made again. What was sent then went to the old one.
func (p *producer) topicChanged(m TopicMetadata) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, s := range p.sinks {
		if at.topic != m.Name || s.topicID == m.ID {
			continue
		}
		s.remade, s.broken = &m.ID, true
		p.touch(s)
	}
}
