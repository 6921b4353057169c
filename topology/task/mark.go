package task

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// mark is what stands beside the rows in the database on disk: how far they are.
type mark struct {
	streamTime time.Time                // zero: no record yet
	inputs     map[string]record.Offset // by topic, the first offset that is not in the rows
	changelogs []record.Offset          // by Number of the store, the same of its changelog
}

// encodeMark writes what the rows of the database will be at after the next Apply.
func (c *Core) encodeMark(streamTime time.Time, position func(input int) (record.Offset, bool)) []byte {
	m := &diskv1.TaskMark{Version: diskv1.TaskMarkVersion, Epoch: int64(c.cfg.Epoch)}
	if !streamTime.IsZero() {
		m.StreamTimeMs = proto.Int64(streamTime.UnixMilli())
	}
	for _, topic := range c.sub.SourceTopics() {
		for i, in := range c.inputs {
			if next, ok := position(i); ok && in.source.Topic == topic {
				m.Inputs = append(m.Inputs, &diskv1.TaskPosition{Topic: topic, Next: int64(next)})
			}
		}
	}
	for i, s := range c.sub.Stores {
		if s.InMemory {
			continue
		}
		entry := describeStore(s)
		if l := c.changelogs[i]; l != nil {
			entry.ChangelogNext = int64(l.next)
		}
		m.Stores = append(m.Stores, entry)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	must(err == nil, "encode the mark of task %s: %v", c.cfg.ID, err)
	return b
}

// describeStore says whose rows a store's number stands for.
func describeStore(s *plan.Store) *diskv1.TaskStore {
	return &diskv1.TaskStore{
		Number: uint32(s.Number), Name: s.Name, Kind: uint32(s.Kind), Changelog: s.Changelog,
	}
}

// decodeMark reads a mark. Its error says why the rows beside it are of no use to these stores: the topology
// has changed, or another build has written them.
func decodeMark(b []byte, stores []*plan.Store) (mark, error) {
	var d diskv1.TaskMark
	if err := proto.Unmarshal(b, &d); err != nil {
		return mark{}, fmt.Errorf("the mark cannot be read: %w", err)
	}
	if d.Version != diskv1.TaskMarkVersion {
		return mark{}, fmt.Errorf("the mark has version %d, this build knows %d", d.Version, diskv1.TaskMarkVersion)
	}
	m := mark{inputs: map[string]record.Offset{}, changelogs: make([]record.Offset, len(stores))}
	if d.StreamTimeMs != nil {
		m.streamTime = time.UnixMilli(*d.StreamTimeMs)
	}
	for _, p := range d.Inputs {
		m.inputs[p.Topic] = record.Offset(p.Next)
	}
	rest := d.Stores
	for i, s := range stores {
		if s.InMemory {
			continue
		}
		if len(rest) == 0 {
			return mark{}, fmt.Errorf("store %s is new", s.Name)
		}
		had, want := rest[0], describeStore(s)
		rest, want.ChangelogNext = rest[1:], had.ChangelogNext
		if !proto.Equal(had, want) {
			return mark{}, fmt.Errorf("rows %d were of %s store %s, and are of %s store %s now",
				had.Number, plan.StoreKind(had.Kind), had.Name, s.Kind, s.Name)
		}
		m.changelogs[i] = record.Offset(had.ChangelogNext)
	}
	if len(rest) > 0 {
		return mark{}, fmt.Errorf("store %s is gone", rest[0].Name)
	}
	return m, nil
}

// notePrefix begins what a task stores with its positions: the stream time, in milliseconds since 1970. Tasks without
// rows on disk have no other place for it, and it outlives the disk.
const notePrefix = "stream-time="

func encodeNote(streamTime time.Time) string {
	if streamTime.IsZero() {
		return ""
	}
	return notePrefix + strconv.FormatInt(streamTime.UnixMilli(), 10)
}

// decodeNote returns the stream time of a note; zero where it tells none: somebody else has stored the position.
func decodeNote(note string) time.Time {
	digits, ok := strings.CutPrefix(note, notePrefix)
	ms, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
