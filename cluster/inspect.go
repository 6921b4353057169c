package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/dirlock"
)

// Inspection is a look into the data directory of a member that does not run. It gives no space back, rewrites
// nothing and accepts no loss; but it holds the directory's lock, and it opens the log as a member would, which
// puts the end of a log in order that was not closed. It is safe for concurrent use until Close.
type Inspection struct {
	id       identity
	lock     *dirlock.Lock
	store    *engine.Store
	reader   *watchedStore
	table    *placement.Table
	tableErr error
	known    []InspectedPartition
	by       map[record.ReplicaID]InspectedPartition
}

// InspectedPartition is a partition that has a replica in the inspected directory. The metadata log is one of
// them.
type InspectedPartition struct {
	Topic     string
	Partition record.Partition
	Replica   record.ReplicaID
}

// Inspect opens the data directory dir. It blocks on the disk and must be closed. Errors: fault.PolicyViolation
// where a member, or another inspection, has it open; fault.InvalidConfig where it is no data directory; and
// those of what keeps a member from opening it.
func Inspect(dir string) (*Inspection, error) {
	if err := hasMember(dir); err != nil {
		return nil, err
	}
	i := &Inspection{}
	if err := i.open(dir); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

func (i *Inspection) open(dir string) (err error) {
	if i.lock, err = lockDir(dir); err != nil {
		return err
	}
	if i.id, err = loadIdentity(dir); err != nil {
		return err
	}
	i.store, err = engine.Open(engine.Options{Dir: filepath.Join(dir, logDirName), BallastBytes: -1, SalvageBelow: -1})
	if err != nil {
		return fmt.Errorf("open the log in %s: %w", dir, err)
	}
	i.reader = &watchedStore{i.store, newDamageLog(slog.New(slog.DiscardHandler), i.name)}
	i.table, i.tableErr = readTable(i.store, i.id.metadata)
	i.know(InspectedPartition{Topic: metadataName, Replica: i.id.metadata})
	if i.tableErr == nil {
		for _, h := range placement.ReplicasOf(i.table, i.id.member) {
			i.know(InspectedPartition{h.Topic.Name, h.Partition.Partition, h.Replica})
		}
	}
	slices.SortFunc(i.known, func(a, b InspectedPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return nil
}

func (i *Inspection) know(p InspectedPartition) {
	if i.by == nil {
		i.by = map[record.ReplicaID]InspectedPartition{}
	}
	i.known, i.by[p.Replica] = append(i.known, p), p
}

// Close gives the directory free. It is idempotent and returns when no goroutine is left.
func (i *Inspection) Close() error {
	var faults []error
	if i.store != nil {
		faults = append(faults, i.store.Close())
		i.store = nil
	}
	if i.lock != nil {
		faults = append(faults, i.lock.Release())
		i.lock = nil
	}
	return errors.Join(faults...)
}

// MetadataErr says why the metadata log cannot tell the partitions' names; nil where it can.
func (i *Inspection) MetadataErr() error { return i.tableErr }

// Partitions are those that live in the directory, the metadata log among them, by name.
func (i *Inspection) Partitions() []InspectedPartition { return slices.Clone(i.known) }

// Free is how many bytes may be written before writes are refused.
func (i *Inspection) Free() int64 { return i.store.Free() }

// Lost names the classes that lost durable writes.
func (i *Inspection) Lost() []LostClass {
	var all []LostClass
	for _, d := range i.store.Damaged() {
		all = append(all, LostClass{d.Class.String(), d.From, d.To, d.Reason})
	}
	return all
}

// Verify reads everything that is alive and calls report for each damaged range. Ranges of partitions that
// have been deleted are not reported. It blocks on the disk until it is done or ctx ends. Errors: those of ctx,
// fault.StorageError.
func (i *Inspection) Verify(ctx context.Context, report func(DamagedRange)) error {
	found := map[record.ReplicaID][]DamagedRange{}
	byRow := map[record.ReplicaID]DamagedRange{}
	err := i.store.Verify(ctx, func(f engine.Finding) {
		d := i.rangeOf(f)
		if d.First == 0 {
			byRow[f.Replica] = d
			return
		}
		found[f.Replica] = merged(found[f.Replica], d)
	})
	if err != nil {
		return err
	}
	// Where a row about a bucket is damaged, what it costs is known only to who reads the whole log.
	for id, d := range byRow {
		if found[id], err = i.unreadable(ctx, id, d); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if _, known := i.by[id]; !known && i.tableErr == nil {
			continue // it has been deleted
		}
		for _, d := range i.alive(id, found[id]) {
			report(d)
		}
	}
	return nil
}

// merged adds a range, which may go on where the last one ends: in the next bucket.
func merged(all []DamagedRange, d DamagedRange) []DamagedRange {
	if n := len(all); n > 0 && all[n-1].Last+1 == d.First {
		all[n-1].Last, all[n-1].To = d.Last, d.To
		return all
	}
	return append(all, d)
}

// unreadable reads a whole log and returns what cannot be read of it: all of it where it does not load, which
// row says.
func (i *Inspection) unreadable(ctx context.Context, id record.ReplicaID, row DamagedRange) ([]DamagedRange, error) {
	tail, _, err := i.store.Load(id)
	if err != nil {
		return []DamagedRange{row}, nil
	}
	var all []DamagedRange
	for next := tail.First; next <= tail.Last; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := i.reader.LogStore.Entries(id, next, tail.Last+1, inspectBytes, nil)
		switch {
		case len(got) > 0:
			next = got[len(got)-1].Through() + 1
		case fault.CodeOf(err) != fault.CorruptRecord:
			return nil, err
		default:
			d := i.reader.extent(id, next)
			d.First = max(d.First, next)
			d.Topic, d.Partition, d.Class, d.Err, d.replica = row.Topic, row.Partition, row.Class, err.Error(), id
			all = merged(all, d)
			next = d.Last + 1
		}
	}
	return all, nil
}

// alive leaves out what lies before the log start.
func (i *Inspection) alive(id record.ReplicaID, all []DamagedRange) []DamagedRange {
	tail, _, err := i.store.Load(id)
	if err != nil {
		return all
	}
	for k := range all {
		if d := &all[k]; d.First > 0 && d.First <= tail.First && d.From < 0 {
			d.From = tail.LogStart
		}
	}
	return slices.DeleteFunc(all, func(d DamagedRange) bool { return d.To >= 0 && d.To < tail.LogStart })
}

// rangeOf names what the store found.
func (i *Inspection) rangeOf(f engine.Finding) DamagedRange {
	d := DamagedRange{
		From: f.From, To: f.To, First: f.First, Last: f.Last, Class: f.Class.String(), Err: f.Err.Error(), replica: f.Replica,
	}
	d.Topic, d.Partition, _ = i.name(f.Replica)
	return d
}

func (i *Inspection) name(id record.ReplicaID) (string, record.Partition, state.Class) {
	if p, ok := i.by[id]; ok {
		return p.Topic, p.Partition, state.ClassCount
	}
	return fmt.Sprintf("replica %d", id), 0, state.ClassCount
}

// Entries calls visit for each entry of a partition's log, from the one that holds offset from on (from below
// the log start: from the very first), until visit returns false. A damaged entry has its index and an error,
// and nothing else. The entries' frames are the caller's. It blocks on the disk.
func (i *Inspection) Entries(p InspectedPartition, from record.Offset, visit func(state.Entry, error) bool) error {
	tail, _, err := i.reader.Load(p.Replica)
	if err != nil {
		return fmt.Errorf("load %s/%d: %w", p.Topic, p.Partition, err)
	}
	next := tail.First
	if from > tail.LogStart {
		if next, err = i.reader.Seek(p.Replica, from); err != nil {
			return fmt.Errorf("seek offset %d of %s/%d: %w", from, p.Topic, p.Partition, err)
		}
	}
	for next <= tail.Last {
		got, err := i.reader.Entries(p.Replica, next, tail.Last+1, inspectBytes, nil)
		if err != nil && fault.CodeOf(err) != fault.CorruptRecord {
			return fmt.Errorf("read entry %d of %s/%d: %w", next, p.Topic, p.Partition, err)
		}
		if len(got) == 0 {
			if !visit(state.Entry{Index: next}, err) {
				return nil
			}
			next++
		}
		for _, e := range got {
			if !visit(e, nil) {
				return nil
			}
			next = e.Through() + 1
		}
	}
	return nil
}

// inspectBytes is how much of a log is read in one go.
const inspectBytes = 1 << 20

// Starts says why the member will be able to read a partition only, and not to write to it, for damage to what
// it needs at start; nil where it will. It blocks on the disk.
func (i *Inspection) Starts(topic string, p record.Partition) error {
	for _, k := range i.known {
		if k.Topic == topic && k.Partition == p {
			return rehearse(i.store, k.Replica, nil)
		}
	}
	return nil
}

// readTable tells the metadata as the member would know it once it has started.
func readTable(store state.LogStore, id record.ReplicaID) (*placement.Table, error) {
	machine := meta.New()
	if err := rehearse(store, id, machine); err != nil {
		return nil, err
	}
	return machine.Table(), nil
}

// rehearse runs the core of a replica over what is stored, up to the point at which it leads. What it wants to
// write goes nowhere.
func rehearse(store state.LogStore, id record.ReplicaID, machine partition.Machine) error {
	tail, rows, err := store.Load(id)
	if err != nil || tail.First == 0 {
		return err
	}
	core, err := partition.New(partition.Config{
		ID: id, Voters: []record.ReplicaID{id}, Incarnation: 1, Tail: tail, Rows: rows, Machine: machine,
		Settings: partition.Settings{Class: state.ClassMeta},
	})
	if err != nil {
		return err
	}
	now := time.Now()
	for todo := []partition.Input{partition.Tick{}}; len(todo) > 0; {
		e := core.Step(now, todo[0])
		todo = todo[1:]
		if e.Stop != nil {
			return e.Stop
		}
		if r := e.Read; r != nil {
			got, err := store.Entries(id, r.Lo, r.Hi, r.MaxBytes, nil)
			todo = append(todo, partition.Loaded{By: 1, Lo: r.Lo, Hi: r.Hi, Entries: got, Err: err})
		}
		for _, p := range e.Persist {
			todo = append(todo, partition.Persisted{By: 1, Token: p.Token})
		}
	}
	return nil
}

// Identify says whose a data directory is. It takes no lock, so it may be asked while a member runs. Errors:
// fault.InvalidConfig where it is no data directory; a member file that is damaged or of another version.
func Identify(dir string) (clusterID string, member record.MemberID, err error) {
	if err := hasMember(dir); err != nil {
		return "", 0, err
	}
	id, err := loadIdentity(dir)
	return id.cluster, id.member, err
}

func hasMember(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, memberFileName)); err != nil {
		return fault.New(fault.InvalidConfig, "%s is no data directory: %w", dir, err).
			WithHint("name the directory that the member was started with")
	}
	return nil
}
