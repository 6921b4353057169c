package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// level is the surface that clients use of both servers: topics go by name in commits.
func level() kgo.Opt { return kgo.MaxVersions(kversion.V3_8_0()) }

// patience bounds every wait: what takes longer is an error.
const patience = 2 * time.Minute

const (
	topic     = "shared"
	groupName = "readers"
)

// crew is a group of members, and who of them owns what.
type crew struct {
	address string
	members []*member

	mu     sync.Mutex
	owners map[int32]*member
	told   chan struct{} // has room for one: something has changed
}

// member is one of a crew.
type member struct {
	cl *kgo.Client

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newCrew(address string) *crew {
	return &crew{address: address, owners: map[int32]*member{}, told: make(chan struct{}, 1)}
}

// join adds a member.
func (g *crew) join() error {
	m := &member{}
	cl, err := kgo.NewClient(kgo.SeedBrokers(g.address), level(), kgo.Dialer(m.dial), kgo.ConsumerGroup(groupName),
		kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(100*time.Millisecond),
		kgo.SessionTimeout(6*time.Second), kgo.RebalanceTimeout(30*time.Second),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(250*time.Millisecond),
		kgo.FetchMaxWait(time.Second),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, add map[string][]int32) { g.change(m, add[topic], nil) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { g.change(m, nil, gone[topic]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { g.change(m, nil, gone[topic]) }))
	if err != nil {
		return err
	}
	m.cl = cl
	g.members = append(g.members, m)
	return nil
}

func (g *crew) change(m *member, add, gone []int32) {
	g.mu.Lock()
	for _, p := range gone {
		if g.owners[p] == m {
			delete(g.owners, p)
		}
	}
	for _, p := range add {
		g.owners[p] = m
	}
	g.mu.Unlock()
	select {
	case g.told <- struct{}{}:
	default:
	}
}

// disown forgets what a member had that is not there any more.
func (g *crew) disown(gone *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p, m := range g.owners {
		if m == gone {
			delete(g.owners, p)
		}
	}
}

// await waits until so many partitions are owned, by every member some where spread says so.
func (g *crew) await(ctx context.Context, partitions int, spread bool) error {
	for {
		g.mu.Lock()
		with := map[*member]bool{}
		for _, m := range g.owners {
			with[m] = true
		}
		owned := len(g.owners)
		g.mu.Unlock()
		if owned == partitions && (!spread || len(with) == len(g.members)) {
			return nil
		}
		select {
		case <-g.told:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d partitions are owned, by %d of %d members: %w",
				owned, partitions, len(with), len(g.members), ctx.Err())
		}
	}
}

// take removes the newest member from the crew.
func (g *crew) take() *member {
	m := g.members[len(g.members)-1]
	g.members = g.members[:len(g.members)-1]
	return m
}

func (g *crew) close() {
	var all sync.WaitGroup
	for _, m := range g.members {
		all.Go(m.cl.CloseAllowingRebalance)
	}
	all.Wait()
}

func (m *member) dial(ctx context.Context, network, host string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, host)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cut {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	m.conns = append(m.conns, c)
	return c, nil
}

// sever ends all connections of a member, and lets none begin.
func (m *member) sever() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut = true
	for _, c := range m.conns {
		_ = c.Close()
	}
}

// mend lets a member connect again: one that cannot does not end soon.
func (m *member) mend() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut = false
}
