package cluster

import (
	"errors"
	"sync"

	"github.com/millstream-io/millstream/cluster/client"
)

// NewClient makes another client of this member inside the process, with options of its own. The caller closes it;
// where that is left out it is closed with the member. A client of a member that is closed is closed too.
func (m *Member) NewClient(opts ...client.Option) *client.Client {
	t := &tracked{local: local{m}, of: &m.clients}
	c := client.New(t, opts...)
	if !m.clients.add(t, c) {
		_ = c.Close() // nothing was produced
	}
	return c
}

// tracked is a local transport that is forgotten when its client closes it.
type tracked struct {
	local
	of *clients
}

// Close implements client.Transport.
func (t *tracked) Close() error {
	t.of.remove(t)
	return t.local.Close()
}

// clients are those that NewClient made and nobody has closed.
type clients struct {
	mu     sync.Mutex
	open   map[*tracked]*client.Client
	closed bool
}

func (s *clients) add(t *tracked, c *client.Client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		s.open = map[*tracked]*client.Client{}
	}
	s.open[t] = c
	return true
}

func (s *clients) remove(t *tracked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, t)
}

// close closes what is left.
func (s *clients) close() error {
	s.mu.Lock()
	s.closed = true
	var all []*client.Client
	for _, c := range s.open {
		all = append(all, c)
	}
	s.mu.Unlock()
	var faults []error
	for _, c := range all {
		faults = append(faults, c.Close())
	}
	return errors.Join(faults...)
}
