package cluster

import (
	"context"
	"sync"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription"
	"github.com/millstream-io/millstream/proto/fault"
)

// Subscribe implements client.Transport.
func (l local) Subscribe(_ context.Context, r client.SubscribeRequest) (client.Subscription, error) {
	return l.m.readers.open(r, subscription.Options{Port: l.m.broker, Who: localWho, Now: l.m.config.Now})
}

// subscriptions are the memberships of groups that this process has for itself.
type subscriptions struct {
	mu     sync.Mutex
	alive  map[*subscription.Subscription]bool
	closed bool
	runs   sync.WaitGroup
}

// open begins a membership, which ends with the member at the latest.
func (s *subscriptions) open(r client.SubscribeRequest, o subscription.Options) (client.Subscription, error) {
	sub, err := subscription.Open(r, o)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fault.New(fault.Closing, "group %q: the member is closing", r.Group).WithHint("join at another member")
	}
	if s.alive == nil {
		s.alive = map[*subscription.Subscription]bool{}
	}
	s.alive[sub] = true
	s.runs.Go(func() {
		sub.Run()
		s.mu.Lock()
		delete(s.alive, sub)
		s.mu.Unlock()
	})
	return sub, nil
}

// close ends all memberships: dynamic ones leave their groups.
func (s *subscriptions) close() {
	s.mu.Lock()
	s.closed = true
	var all []*subscription.Subscription
	for sub := range s.alive {
		all = append(all, sub)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var ends sync.WaitGroup
	for _, sub := range all {
		ends.Go(func() { _ = sub.Close(ctx) }) // only ctx can end it early
	}
	ends.Wait()
	s.runs.Wait()
}
