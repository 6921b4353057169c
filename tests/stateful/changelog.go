package stateful

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// changelogTopics are those of the application.
var changelogTopics = []string{"ledger-counted-changelog", "ledger-customers-changelog", "ledger-windows-changelog"}

// Changelog is one partition of a changelog, read at one moment.
type Changelog struct {
	End     record.Offset
	Records []*kgo.Record
}

// Changelogs reads every partition of the changelogs up to its present end, by topic and partition.
func Changelogs(t testing.TB, address string) map[string]*Changelog {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := connect(t, address, kgo.ConsumeTopics(changelogTopics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, changelogTopics...)
	if err = errors.Join(err, ends.Error()); err != nil {
		t.Fatal(err)
	}
	logs, missing := map[string]*Changelog{}, 0
	ends.Each(func(o kadm.ListedOffset) {
		logs[nameOf(o.Topic, o.Partition)] = &Changelog{End: record.Offset(o.Offset)}
		if o.Offset > 0 {
			missing++
		}
	})
	for missing > 0 {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("read the changelogs: %v", err)
		}
		for _, r := range f.Records() {
			l := logs[nameOf(r.Topic, r.Partition)]
			if record.Offset(r.Offset) >= l.End {
				continue
			}
			l.Records = append(l.Records, r)
			if record.Offset(r.Offset) == l.End-1 {
				missing--
			}
		}
	}
	return logs
}

func nameOf(topic string, partition int32) string { return fmt.Sprintf("%s/%d", topic, partition) }

// Compare returns where the rows of databases are not the replay of the changelogs up to their marks. Whole says
// that they have to be the replay of everything. A row that compaction has taken from below the mark, because there
// is a newer one behind it, is not compared.
func Compare(dbs []Database, logs map[string]*Changelog, whole bool) (faults []error) {
	for _, db := range dbs {
		if db.Mark == nil {
			if whole || len(db.Rows) > 0 {
				faults = append(faults, fmt.Errorf("%s has %d rows and no mark", db.Task, len(db.Rows)))
			}
			continue
		}
		_, p, _ := strings.Cut(db.Task, "_")
		partition, err := strconv.ParseInt(p, 10, 32)
		if err != nil {
			return append(faults, fmt.Errorf("a database of task %q", db.Task))
		}
		rows := len(db.Rows)
		for _, s := range db.Mark.Stores {
			l := logs[nameOf(s.Changelog, int32(partition))]
			if l == nil {
				faults = append(faults, fmt.Errorf("%s: store %s has no changelog", db.Task, s.Name))
				continue
			}
			n, found := compareStore(db, s, l, whole)
			rows -= n
			faults = append(faults, found...)
		}
		if rows != 0 {
			faults = append(faults, fmt.Errorf("%s: %d rows are of no store", db.Task, rows))
		}
	}
	return faults
}

// compareStore also returns how many rows of the database are of this store.
func compareStore(db Database, s *diskv1.TaskStore, l *Changelog, whole bool) (rows int, faults []error) {
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s, store %s: %s", db.Task, s.Name, fmt.Sprintf(format, args...)))
	}
	at := record.Offset(s.ChangelogNext)
	if at > l.End || whole && at != l.End {
		bad("its mark is at offset %d of the changelog, which ends at %d", at, l.End)
	}
	replay, later := map[string][]byte{}, map[string]bool{}
	for _, r := range l.Records {
		key := string(state.RowKey(nil, uint16(s.Number), r.Key))
		switch {
		case record.Offset(r.Offset) >= at:
			later[key] = true
		case r.Value == nil:
			delete(replay, key)
		default:
			replay[key] = r.Value
		}
	}
	for key, value := range db.Rows {
		if n, _, ok := state.SplitRowKey([]byte(key)); !ok || uint32(n) != s.Number {
			continue
		}
		rows++
		want, ok := replay[key]
		if !ok && !later[key] || ok && !slices.Equal(want, value) {
			bad("row %q is %q, the changelog has %q (%v)", key, value, want, ok)
		}
	}
	for key, want := range replay {
		if _, ok := db.Rows[key]; !ok {
			bad("row %q is missing, the changelog has %q", key, want)
		}
	}
	return rows, faults
}
