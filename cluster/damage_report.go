package cluster

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/millstream-io/millstream/proto/record"
)

// DamageReport is what a member knows to be damaged. Its JSON keys are stable.
type DamageReport struct {
	Lost     []LostClass         `json:"lost"`      // classes that take no writes
	ReadOnly []ReadOnlyPartition `json:"read_only"` // partitions that take no writes
	Ranges   []DamagedRange      `json:"ranges"`    // what readers found
	Unlisted int                 `json:"unlisted"`  // ranges beyond those that are listed
}

// LostClass is a retention class that lost groups of writes that had been durable. From and To number them;
// both are 0 where that cannot be told.
type LostClass struct {
	Class  string `json:"class"`
	From   uint64 `json:"from_group"`
	To     uint64 `json:"to_group"`
	Reason string `json:"reason"`
}

// ReadOnlyPartition is a partition that is served without being written to.
type ReadOnlyPartition struct {
	Topic     string           `json:"topic"`
	Partition record.Partition `json:"partition"`
	Err       string           `json:"error"`
}

// Damage says what is known to be damaged: what was found at start, and what readers have met since. It does
// not look for more and does not block. It is safe for concurrent use; before the member is ready it may not
// tell everything.
func (m *Member) Damage() DamageReport {
	r := DamageReport{Lost: []LostClass{}, ReadOnly: []ReadOnlyPartition{}, Ranges: []DamagedRange{}}
	if !m.ready.Load() {
		return r
	}
	for _, d := range m.store.Damaged() {
		r.Lost = append(r.Lost, LostClass{d.Class.String(), d.From, d.To, d.Reason})
	}
	here := m.directory.here.Load()
	for _, p := range here.byID {
		if err := p.failed.Load(); err != nil && p.readOnly.Load() {
			r.ReadOnly = append(r.ReadOnly, ReadOnlyPartition{p.topicName(), p.tp.Partition, (*err).Error()})
		}
	}
	slices.SortFunc(r.ReadOnly, func(a, b ReadOnlyPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	r.Ranges = slices.DeleteFunc(m.damage.list(), func(d DamagedRange) bool {
		p := here.byID[d.replica]
		if p == nil {
			return true
		}
		v := p.view.Load() // what lies before the log start is nobody's loss any more
		return v != nil && d.To >= 0 && d.To < v.LogStart && d.First > 0
	})
	r.Unlisted = m.damage.total() - m.damage.listed()
	return r
}

// notes is what an operator should know of a member that does its work.
func (m *Member) notes() []string {
	notes := m.disk.notes()
	if !m.ready.Load() {
		return notes
	}
	for i, r := range relaxedOf(m.table.Load()) {
		if i == maxUnready {
			notes = append(notes, "relaxed: there are more such topics")
			break
		}
		notes = append(notes, "relaxed: "+r.String())
	}
	r := m.Damage()
	for _, d := range r.Lost {
		notes = append(notes, fmt.Sprintf("class %s lost durable writes (%s) and takes no more: see /damage", d.Class, d.Reason))
	}
	for i, d := range r.Ranges {
		if i == maxUnready {
			return append(notes, fmt.Sprintf("%d more damaged ranges: see /damage", len(r.Ranges)-i+r.Unlisted))
		}
		notes = append(notes, "damaged: "+d.String())
	}
	return notes
}
