package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
)

func (s *shell) groupResetCommand() *urfave.Command {
	return &urfave.Command{
		Name: "reset", Usage: "move the offsets of a group without members; shows what it would do unless --execute",
		ArgsUsage: "NAME",
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "to-start", Usage: "to the first record that is there"},
			&urfave.BoolFlag{Name: "to-end", Usage: "behind the last record"},
			&urfave.Int64Flag{Name: "to-offset", Usage: "to `OFFSET`"},
			&urfave.StringFlag{Name: "to-time", Usage: "to the first record from `TIME` on: 2026-01-31T12:00:00Z, a date, -1h"},
			&urfave.DurationFlag{Name: "by-duration", Usage: "to the first record that is younger than `DURATION`"},
			&urfave.Int64Flag{Name: "shift", Usage: "by `N` records, back where it is negative"},
			&urfave.StringSliceFlag{Name: "topic", Usage: "only `TOPIC`, or TOPIC:PARTITION; may be repeated, and may be new to the group"},
			&urfave.BoolFlag{Name: "execute", Usage: "do it"},
			outputFlag(), addrFlag(), timeoutFlag(),
		},
		Action: s.groupReset,
	}
}

// resetRow is one partition of `group reset`; -1 is no offset.
type resetRow struct {
	Topic     string           `json:"topic"`
	Partition record.Partition `json:"partition"`
	Old       record.Offset    `json:"old"`
	New       record.Offset    `json:"new"`
}

// target is where a reset moves to: a position, or a shift of what is committed.
type target struct {
	position
	shift int64
	moves bool
}

// resetTargets are the options of which exactly one is given.
var resetTargets = []string{"to-start", "to-end", "to-offset", "to-time", "by-duration", "shift"}

func resetTarget(c *urfave.Context, now time.Time) (target, error) {
	given := ""
	for _, name := range resetTargets {
		if !c.IsSet(name) {
			continue
		}
		if given != "" {
			return target{}, usage("--%s and --%s exclude each other", given, name).hint("one of them")
		}
		given = name
	}
	switch given {
	case "to-start":
		return target{position: position{kind: fromStart}}, nil
	case "to-end":
		return target{position: position{kind: fromEnd}}, nil
	case "to-offset":
		n := c.Int64("to-offset")
		if n < 0 {
			return target{}, usage("--to-offset %d is negative", n).hint("--to-end, or --shift %d", n)
		}
		return target{position: position{kind: fromOffset, n: n}}, nil
	case "to-time":
		t, ok := parseTime(c.String("to-time"), now)
		if !ok {
			return target{}, usage("--to-time %q is no time", c.String("to-time")).hint("2026-01-31T12:00:00Z, 2026-01-31, or -1h")
		}
		return target{position: position{kind: fromTime, n: t.UnixMilli()}}, nil
	case "by-duration":
		d := c.Duration("by-duration")
		if d < 0 {
			return target{}, usage("--by-duration %s is negative", d).hint("--by-duration %s", -d)
		}
		return target{position: position{kind: fromTime, n: now.Add(-d).UnixMilli()}}, nil
	case "shift":
		return target{shift: c.Int64("shift"), moves: true}, nil
	}
	return target{}, usage("group reset needs to know where to").hint("--%s", strings.Join(resetTargets, ", --"))
}

func (s *shell) groupReset(c *urfave.Context) error {
	name, err := oneArgument(c, "NAME")
	if err != nil {
		return err
	}
	to, err := resetTarget(c, time.Now())
	if err != nil {
		return err
	}
	form := c.String("output")
	if err := checkOutput(form); err != nil {
		return err
	}
	only, err := partitionsNamed(c.StringSlice("topic"))
	if err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		rows, err := resetRows(ctx, cl, name, to, only)
		if err != nil {
			return err
		}
		if c.Bool("execute") {
			if err := reset(ctx, cl, name, rows); err != nil {
				return err
			}
		}
		l := listing{columns: []string{"topic", "partition", "old", "new"}, value: rows}
		for _, r := range rows {
			l.names = append(l.names, fmt.Sprintf("%s/%d", r.Topic, r.Partition))
			l.rows = append(l.rows, []string{r.Topic, strconv.Itoa(int(r.Partition)), known(int64(r.Old)), known(int64(r.New))})
		}
		if err := s.show(form, l); err != nil {
			return err
		}
		if !c.Bool("execute") {
			s.notef("nothing was changed: --execute does it")
		}
		return nil
	})
}

// partitionsNamed reads TOPIC and TOPIC:PARTITION; a topic without partitions means all of them.
func partitionsNamed(words []string) (map[string][]record.Partition, error) {
	named := map[string][]record.Partition{}
	for _, w := range words {
		topic, number, ok := strings.Cut(w, ":")
		if !ok {
			named[topic] = nil
			continue
		}
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || n < 0 || topic == "" {
			return nil, usage("--topic %q is no partition", w).hint("orders, or orders:0")
		}
		if all, there := named[topic]; there && all == nil {
			continue
		}
		named[topic] = append(named[topic], record.Partition(n))
	}
	return named, nil
}

// resetRows finds out what a reset changes. The group must have no members, so that nobody goes on elsewhere.
func resetRows(ctx context.Context, cl *client.Client, name string, to target, only map[string][]record.Partition) (
	[]resetRow, error,
) {
	_, err := idleGroup(ctx, cl, name, "reset")
	if err != nil && len(only) == 0 || err != nil && err.(*failure).code != exitNotFound {
		return nil, err // a group that is not there yet may be given offsets for the topics that are named
	}
	committed, err := committedOf(ctx, cl, name)
	if err != nil {
		return nil, err
	}
	names := slices.Collect(maps.Keys(only))
	if len(only) == 0 {
		for p := range committed {
			names = append(names, p.Topic)
		}
	}
	if len(names) == 0 {
		return nil, fail(exitNotFound, fmt.Sprintf("group %q has no offsets", name)).hint("name the topics: --topic orders")
	}
	topics, err := topicsOf(ctx, cl, names)
	if err != nil {
		return nil, err
	}
	rows, err := to.place(ctx, cl, topics, committed, only)
	if err == nil && len(rows) == 0 {
		err = fail(exitNotFound, fmt.Sprintf("group %q has no offsets to move", name)).hint("name the topics: --topic orders")
	}
	return rows, err
}

// place turns the target into new offsets. Without topics that are named, only what was committed moves.
func (to target) place(ctx context.Context, cl *client.Client, topics []client.TopicMetadata,
	committed map[client.TopicPartition]client.GroupOffset, only map[string][]record.Partition,
) ([]resetRow, error) {
	spans, err := to.spans(ctx, cl, false, topics)
	if err != nil {
		return nil, err
	}
	var held map[string][]extent
	if to.moves {
		if held, err = extents(ctx, cl, topics...); err != nil {
			return nil, err
		}
	}
	for topic, numbers := range only {
		for _, n := range numbers {
			if _, ok := spans[client.TopicPartition{Topic: topic, Partition: n}]; !ok {
				return nil, noSuchPartition(topic, n)
			}
		}
	}
	rows := []resetRow{}
	for p, sp := range spans {
		r := resetRow{Topic: p.Topic, Partition: p.Partition, Old: -1, New: sp.from}
		old, there := committed[p]
		if there = there && (old.Offset >= 0 || !to.moves); there { // a negative offset stands for none: nothing to shift
			r.Old = old.Offset
		}
		if to.moves && int(p.Partition) < len(held[p.Topic]) {
			e := held[p.Topic][p.Partition]
			r.New = min(max(r.Old+to.by(), e.start), e.end)
		}
		if wanted(only, p, there) && (there || !to.moves) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b resetRow) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return rows, nil
}

// by is how far offsets are shifted: no farther than they can be counted.
func (to target) by() record.Offset {
	const most = 1 << 62
	return record.Offset(min(max(to.shift, -most), most))
}

func noSuchPartition(topic string, p record.Partition) *failure {
	return fail(exitNotFound, fmt.Sprintf("topic %q has no partition %d", topic, p)).hint("millstream topic describe %s", topic)
}

func wanted(only map[string][]record.Partition, p client.TopicPartition, committed bool) bool {
	if len(only) == 0 {
		return committed
	}
	numbers, named := only[p.Topic]
	return named && (numbers == nil || slices.Contains(numbers, p.Partition))
}

// reset commits the new offsets. The coordinator refuses that once somebody has joined the group.
func reset(ctx context.Context, cl *client.Client, name string, rows []resetRow) error {
	offsets := make([]client.GroupOffset, len(rows))
	for i, r := range rows {
		offsets[i] = client.GroupOffset{
			TopicPartition: client.TopicPartition{Topic: r.Topic, Partition: r.Partition}, Offset: r.New,
			LeaderEpoch: record.NoEpoch,
		}
	}
	if err := cl.SetGroupOffsets(ctx, name, offsets...); err != nil {
		return groupRefused(fmt.Sprintf("group %q was not reset", name), err)
	}
	return nil
}
