package task

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/mem"
	"github.com/millstream-io/millstream/topology/plan"
)

// changelog is the topic that a store comes back from.
type changelog struct {
	rows  *storeRows
	start record.Offset
	end   record.Offset // of what earlier lives wrote
	next  record.Offset // the first record that is not restored; behind the newest acknowledged one later on

	known   bool // start and end are
	asked   bool // a Fence or a Fetch is on its way
	pause   pause
	from    record.Offset // where restoring began
	records int           // restored
	keys    []byte        // of the rows that are applied together
	changes []state.StateRow
}

func (l *changelog) topic() string { return l.rows.plan.Changelog }

// changelogs are those of a task, by Number of the store; nil where the changelog is off.
type changelogs []*changelog

func newChangelogs(s *stores) changelogs {
	all := make(changelogs, len(s.all))
	for i, r := range s.all {
		if r.plan.Changelog != "" {
			all[i] = &changelog{rows: r}
		}
	}
	return all
}

// byTopic returns the changelog with a topic, or nil.
func (ls changelogs) byTopic(topic string) *changelog {
	for _, l := range ls {
		if l != nil && l.topic() == topic {
			return l
		}
	}
	return nil
}

// every reports whether all changelogs are so.
func (ls changelogs) every(so func(*changelog) bool) bool {
	return !slices.ContainsFunc(ls, func(l *changelog) bool { return l != nil && !so(l) })
}

// RestartError says that a life of a task cannot go on, and that another one can: its rows on disk were lost,
// or could not be written.
type RestartError struct{ Err error }

// Error says why.
func (e *RestartError) Error() string { return e.Err.Error() }

// Unwrap returns why.
func (e *RestartError) Unwrap() error { return e.Err }

// prepare goes on with what has to be done before the first record: fence the changelogs, open the database,
// restore it, locate the inputs.
func (c *Core) prepare() error {
	if c.phase == phaseFencing {
		c.fence()
		if c.changelogs.every(func(l *changelog) bool { return l.known }) {
			c.phase = phaseOpening
		}
	}
	if c.phase == phaseOpening && c.opening.over(c.now) {
		if err := c.openStores(); err != nil {
			return err
		}
	}
	if c.phase == phaseRestoring {
		if c.changelogs.every(func(l *changelog) bool { return l.next >= l.end }) {
			for _, l := range c.changelogs {
				if l != nil {
					l.keys, l.changes = nil, nil
				}
			}
			c.phase = phaseLocating
			c.locate()
			return nil
		}
		c.fetchChangelogs()
	}
	return nil
}

func (c *Core) fence() {
	for _, l := range c.changelogs {
		if l == nil || l.known || l.asked || !l.pause.over(c.now) {
			continue
		}
		l.asked, l.pause.until = true, time.Time{}
		c.effects.Fence = append(c.effects.Fence, Fence{
			Topic: l.topic(), Partition: c.cfg.ID.Partition, Epoch: c.cfg.Epoch,
		})
	}
}

func (c *Core) takeFenced(a Fenced) error {
	l := c.changelogs.byTopic(a.Topic)
	must(l != nil && l.asked, "task %s was told of a fence in %s, which it did not ask for", c.cfg.ID, a.Topic)
	l.asked = false
	if a.Err != nil {
		if !retryable(a.Err) {
			return fmt.Errorf("fence changelog %s of task %s: %w", a.Topic, c.cfg.ID, a.Err)
		}
		c.cfg.Observer.Retried(c.cfg.ID, "fence", a.Err)
		l.pause.begin(c.now)
		return nil
	}
	l.pause = pause{}
	l.known, l.start, l.end = true, a.Start, a.End
	return nil
}

// openStores opens the database and finds where each store has to be restored from. Rows that are damaged, or
// that do not fit the changelogs or the topology any more, are wiped: the changelogs have them all.
func (c *Core) openStores() error {
	for _, l := range c.changelogs {
		if l != nil {
			l.next = l.start
		}
	}
	if slices.ContainsFunc(c.stores.all, func(r *storeRows) bool { return r.plan.InMemory }) {
		c.stores.memory = mem.New()
	}
	if c.cfg.needsStates() {
		again, err := c.openDisk()
		if err != nil || again {
			return err
		}
	}
	c.phase = phaseRestoring
	for _, l := range c.changelogs {
		if l != nil {
			l.from = l.next
			c.restored(l)
		}
	}
	return nil
}

// openDisk opens the rows on disk and reads their mark. again says that it has to be tried again later.
func (c *Core) openDisk() (again bool, err error) {
	task := c.cfg.ID.String()
	db, err := c.cfg.States.Open(task)
	if fault.CodeOf(err) == fault.CorruptRecord {
		if err := c.wipe(err); err != nil {
			return false, err
		}
		db, err = c.cfg.States.Open(task)
	}
	if err != nil {
		if c.openBy.IsZero() {
			c.openBy = c.now.Add(c.cfg.OpenWait)
		}
		if fault.CodeOf(err) == fault.Closing || !c.now.Before(c.openBy) {
			return false, fmt.Errorf("open the rows of task %s: %w", task, err)
		}
		c.cfg.Observer.Retried(c.cfg.ID, "open rows", err)
		c.opening.begin(c.now) // an earlier life may still hold it
		return true, nil
	}
	c.stores.disk, c.opening = db, pause{}
	if db.Mark() == nil {
		return false, nil
	}
	m, err := decodeMark(db.Mark(), c.sub.Stores)
	if err == nil {
		err = c.changelogs.fit(m)
	}
	if err == nil {
		c.useMark(m)
		return false, nil
	}
	c.stores.disk = nil
	if closeErr := db.Close(); closeErr != nil {
		return false, fmt.Errorf("close the rows of task %s: %w", task, closeErr)
	}
	if err := c.wipe(err); err != nil {
		return false, err
	}
	c.stores.disk, err = c.cfg.States.Open(task)
	if err != nil {
		return false, &RestartError{fmt.Errorf("open the rows of task %s again: %w", task, err)}
	}
	return false, nil
}

// fit says why the rows cannot be brought up to date from the changelogs, or nil.
func (ls changelogs) fit(m mark) error {
	for i, l := range ls {
		if l == nil || l.rows.plan.InMemory {
			continue
		}
		if at := m.changelogs[i]; at < l.start || at > l.end {
			return fmt.Errorf("the rows stand at offset %d of %s, which has %d to %d", at, l.topic(), l.start, l.end)
		}
	}
	return nil
}

func (c *Core) useMark(m mark) {
	c.loaded = m
	for i, l := range c.changelogs {
		if l != nil && !l.rows.plan.InMemory {
			l.next = m.changelogs[i]
		}
	}
}

// wipe gives up the rows on disk. They are closed.
func (c *Core) wipe(why error) error {
	c.cfg.Observer.Wiped(c.cfg.ID, why)
	if err := c.cfg.States.Wipe(c.cfg.ID.String()); err != nil {
		return fmt.Errorf("wipe the rows of task %s, because %w: %w", c.cfg.ID, why, err)
	}
	return nil
}

// loseStores ends this life because of an error of a database; the next one begins with what the changelogs
// have, if the rows are damaged.
func (c *Core) loseStores(err error) error {
	damaged := fault.CodeOf(err) == fault.CorruptRecord
	err = fmt.Errorf("rows of task %s: %w", c.cfg.ID, err)
	if closeErr := c.stores.close(); closeErr != nil {
		err = errors.Join(err, closeErr)
	}
	if damaged {
		if wipeErr := c.wipe(err); wipeErr != nil {
			err = errors.Join(err, wipeErr)
		}
	}
	return &RestartError{err}
}

func (c *Core) fetchChangelogs() {
	for _, l := range c.changelogs {
		if l == nil || l.asked || l.next >= l.end || !l.pause.over(c.now) {
			continue
		}
		l.asked, l.pause.until = true, time.Time{}
		c.effects.Fetch = append(c.effects.Fetch, Fetch{
			Topic: l.topic(), Partition: c.cfg.ID.Partition, From: l.next, MaxBytes: c.cfg.MaxFetchBytes,
		})
	}
}

// takeRestored brings fetched records of a changelog into the database: never more than one answer's bytes
// are held.
func (c *Core) takeRestored(l *changelog, a Fetched) error {
	must(l.asked, "task %s fetched %s without asking", c.cfg.ID, a.Topic)
	l.asked = false
	defer release(a)
	if c.phase != phaseRestoring {
		return nil
	}
	if a.Err != nil {
		if fault.CodeOf(a.Err) == fault.OffsetOutOfRange {
			return &RestartError{fmt.Errorf("changelog %s has moved away from offset %d of task %s: %w",
				a.Topic, l.next, c.cfg.ID, a.Err)}
		}
		if !retryable(a.Err) || fault.CodeOf(a.Err) == fault.CorruptRecord { // damage stays
			return fmt.Errorf("restore store %s of task %s from %s@%d: %w",
				l.rows.plan.Name, c.cfg.ID, a.Topic, l.next, a.Err)
		}
		c.cfg.Observer.Retried(c.cfg.ID, "restore", a.Err)
		l.pause.begin(c.now)
		return nil
	}
	before := *l
	rows, err := c.restoredRows(l, a)
	if err != nil {
		return fmt.Errorf("restore store %s of task %s from %s@%d: %w",
			l.rows.plan.Name, c.cfg.ID, a.Topic, l.next, err)
	}
	switch err := c.applyRestored(l, rows); {
	case err == nil:
		l.pause = pause{}
		c.restored(l)
	case fault.CodeOf(err) == fault.DiskFull:
		c.cfg.Observer.Retried(c.cfg.ID, "restore", err)
		*l = before // fetched again
		l.pause.begin(c.now)
	default:
		return c.loseStores(err)
	}
	return nil
}

// restoredRows decodes what was fetched. Where nothing is left to read up to the end, that is the end:
// compaction may have removed the last records.
func (c *Core) restoredRows(l *changelog, a Fetched) ([]state.StateRow, error) {
	if len(a.Batches) == 0 && a.End >= l.end {
		l.next = l.end
		return nil, nil
	}
	rows := l.changes[:0]
	l.keys = l.keys[:0]
	defer func() { l.changes = rows }()
	for _, chunk := range a.Batches {
		for len(chunk) > 0 {
			b, rest, err := record.Next(chunk)
			if err == nil {
				err = b.Check()
			}
			if err != nil {
				return nil, err
			}
			if chunk = rest; b.LastOffset() < l.next {
				continue
			}
			if !b.Control() {
				if rows, err = c.restoreBatch(l, b, rows); err != nil {
					return nil, err
				}
			}
			l.next = b.LastOffset() + 1
		}
	}
	return rows, nil
}

func (c *Core) restoreBatch(l *changelog, b record.Batch, rows []state.StateRow) ([]state.StateRow, error) {
	for r, err := range b.Records(0) {
		if err != nil {
			return nil, err
		}
		if r.Offset < l.next {
			continue
		}
		if r.Key == nil {
			return nil, fault.New(fault.CorruptRecord, "record %d has no key", r.Offset)
		}
		if r.TimestampMs > c.restoredMs {
			c.restoredMs = r.TimestampMs
		}
		l.records++
		from := len(l.keys)
		l.keys = state.RowKey(l.keys, l.rows.plan.Number, r.Key) // where it moves, older rows keep what they have
		rows = append(rows, state.StateRow{Key: l.keys[from:len(l.keys):len(l.keys)], Value: r.Value})
	}
	return rows, nil
}

// applyRestored writes restored rows with a mark that says how far they are. The inputs in it are those of
// the mark that was found: the rows have at least what these say.
func (c *Core) applyRestored(l *changelog, rows []state.StateRow) error {
	if l.rows.plan.InMemory {
		return c.stores.memory.Apply(rows, nil)
	}
	m := c.encodeMark(c.restoredTime(), func(i int) (record.Offset, bool) {
		next, ok := c.loaded.inputs[c.inputs[i].source.Topic]
		return next, ok
	})
	return c.stores.disk.Apply(rows, m)
}

// restoredTime is the highest event time that the rows have seen, as far as mark and changelogs tell.
func (c *Core) restoredTime() time.Time {
	t := c.loaded.streamTime
	if r := time.UnixMilli(c.restoredMs); c.restoredMs > 0 && r.After(t) {
		t = r
	}
	return t
}

func (c *Core) restored(l *changelog) {
	c.cfg.Observer.Restored(c.cfg.ID, Restored{
		Store: l.rows.plan.Name, From: l.from, Next: l.next, End: l.end, Records: l.records,
	})
}

// writeChangelogs puts one record for every frozen row into the outbox. Their time is the stream time: it comes
// back with the rows.
func (c *Core) writeChangelogs(streamTime time.Time) error {
	ms := int64(0)
	if !streamTime.IsZero() {
		ms = max(0, streamTime.UnixMilli())
	}
	frozen := c.stores.dirty.frozen
	for i := range frozen.rows {
		r := &frozen.rows[i]
		s := c.stores.of(r.key)
		if s.plan.Changelog == "" {
			continue
		}
		rec := record.Record{TimestampMs: ms, Key: r.key[prefixBytes:], Value: r.value}
		if r.deleted {
			rec.Value = nil
		}
		if err := c.out.addChangelog(s.plan, &rec); err != nil {
			return fmt.Errorf("task %s: write store %s of %s to its changelog: %w",
				c.cfg.ID, s.plan.Name, placeOf(s.plan), err)
		}
	}
	return nil
}

func placeOf(s *plan.Store) string {
	if s.Node == nil {
		return "the topology"
	}
	return s.Node.String()
}
