package group

import (
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
)

// SweeperKind is the name of the kind of which each member has one actor: it wakes the groups whose positions
// are old, so that they forget them.
const SweeperKind = "group-sweeper"

// SweeperPorts is what a sweeper works with. Its functions are called in Receive and must not block.
type SweeperPorts struct {
	Every time.Duration // between two sweeps
	// Aged finds groups without members that have something old. done runs exactly once, on any goroutine.
	Aged func(now time.Time, done func(groups []string))
	// Expire tells a group to forget what is old.
	Expire func(group string)
}

// Sweeper makes the kind.
func Sweeper(ports func() SweeperPorts, restart supervise.Policy) actors.Kind {
	return actors.Kind{
		Name:    SweeperKind,
		Restart: restart,
		New:     func(actors.Identity) actors.Actor { return &sweeper{p: ports()} },
	}
}

type sweeper struct{ p SweeperPorts }

// sweep begins a sweep, aged ends it.
type (
	sweep struct{}
	aged  struct{ groups []string }
)

// Receive implements actors.Actor.
func (s *sweeper) Receive(c actors.Context, m any) {
	switch m := m.(type) {
	case actors.Started:
		c.After(s.p.Every, sweep{})
	case sweep:
		post := c.Post()
		s.p.Aged(c.Now(), func(groups []string) { post(aged{groups}) })
	case aged:
		for _, name := range m.groups {
			s.p.Expire(name)
		}
		c.After(s.p.Every, sweep{})
	case actors.Stopping:
	default:
		c.Unknown(m)
	}
}
