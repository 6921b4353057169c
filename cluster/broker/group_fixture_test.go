package broker_test

import (
	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
)

// Group knows no group: what groups do is tested with a whole member.
func (m *member) Group(name string) (actors.Ref, error) {
	return actors.Ref{}, fault.New(fault.NotCoordinator, "group %q is not here", name)
}

// Groups are none.
func (m *member) Groups() map[string]group.Summary { return nil }

// Room has room.
func (m *member) Room(int) bool { return true }
