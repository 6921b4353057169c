package cli

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	urfave "github.com/urfave/cli/v2"
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
			outputFlag(), brokersFlag(), timeoutFlag(),
		},
		Action: s.groupReset,
	}
}

// resetRow is one partition of `group reset`; -1 is no offset.
type resetRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Old       int64  `json:"old"`
	New       int64  `json:"new"`
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
	return s.admin(c, func(ctx context.Context, ad *kadm.Client) error {
		rows, err := resetRows(ctx, ad, name, to, only)
		if err != nil {
			return err
		}
		if c.Bool("execute") {
			if err := reset(ctx, ad, name, rows); err != nil {
				return err
			}
		}
		l := listing{columns: []string{"topic", "partition", "old", "new"}, value: rows}
		for _, r := range rows {
			l.names = append(l.names, fmt.Sprintf("%s/%d", r.Topic, r.Partition))
			l.rows = append(l.rows, []string{r.Topic, strconv.Itoa(int(r.Partition)), known(r.Old), known(r.New)})
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
func partitionsNamed(words []string) (map[string][]int32, error) {
	named := map[string][]int32{}
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
		named[topic] = append(named[topic], int32(n))
	}
	return named, nil
}

// resetRows finds out what a reset changes. The group must have no members, so that nobody goes on elsewhere.
func resetRows(ctx context.Context, ad *kadm.Client, name string, to target, only map[string][]int32) ([]resetRow, error) {
	_, err := idleGroup(ctx, ad, name, "reset")
	if err != nil && len(only) == 0 || err != nil && err.(*failure).code != exitNotFound {
		return nil, err // a group that is not there yet may be given offsets for the topics that are named
	}
	committed, err := ad.FetchOffsets(ctx, name)
	if err != nil {
		return nil, refused(fmt.Sprintf("the offsets of group %q could not be read", name), err, "")
	}
	topics := topicsOf(committed, only)
	if len(topics) == 0 {
		return nil, fail(exitNotFound, fmt.Sprintf("group %q has no offsets", name)).hint("name the topics: --topic orders")
	}
	for _, t := range topics {
		if _, err := topicOf(ctx, ad, t); err != nil {
			return nil, err
		}
	}
	spans, err := to.spans(ctx, ad, false, topics)
	if err != nil {
		return nil, err
	}
	rows, err := to.place(ctx, ad, committed, spans, only)
	if err == nil && len(rows) == 0 {
		err = fail(exitNotFound, fmt.Sprintf("group %q has no offsets to move", name)).hint("name the topics: --topic orders")
	}
	return rows, err
}

func topicsOf(committed kadm.OffsetResponses, only map[string][]int32) (topics []string) {
	if len(only) == 0 {
		for t := range committed {
			topics = append(topics, t)
		}
	}
	for t := range only {
		topics = append(topics, t)
	}
	sort.Strings(topics)
	return topics
}

// place turns the target into new offsets. Without topics that are named, only what was committed moves.
func (to target) place(ctx context.Context, ad *kadm.Client, committed kadm.OffsetResponses,
	spans map[string]map[int32]span, only map[string][]int32) ([]resetRow, error) {
	var starts, ends kadm.ListedOffsets
	if to.moves {
		var topics []string
		for t := range spans {
			topics = append(topics, t)
		}
		var err error
		if starts, ends, err = bounds(ctx, ad, topics...); err != nil {
			return nil, err
		}
	}
	rows := []resetRow{}
	for topic, partitions := range spans {
		for n, sp := range partitions {
			r := resetRow{Topic: topic, Partition: n, Old: -1, New: sp.from}
			old, there := committed.Lookup(topic, n)
			if there = there && (old.At >= 0 || !to.moves); there { // a negative offset stands for none: nothing to shift
				r.Old = old.At
			}
			if to.moves {
				r.New = min(max(r.Old+to.shift, starts[topic][n].Offset), ends[topic][n].Offset)
			}
			if wanted(only, topic, n, there) && (there || !to.moves) {
				rows = append(rows, r)
			}
		}
	}
	for topic, numbers := range only {
		for _, n := range numbers {
			if _, ok := spans[topic][n]; !ok {
				return nil, fail(exitNotFound, fmt.Sprintf("topic %q has no partition %d", topic, n)).
					hint("millstream topic describe %s", topic)
			}
		}
	}
	sort.Slice(rows, func(i, j int) bool {
		if rows[i].Topic != rows[j].Topic {
			return rows[i].Topic < rows[j].Topic
		}
		return rows[i].Partition < rows[j].Partition
	})
	return rows, nil
}

func wanted(only map[string][]int32, topic string, partition int32, committed bool) bool {
	if len(only) == 0 {
		return committed
	}
	numbers, named := only[topic]
	if !named {
		return false
	}
	for _, n := range numbers {
		if n == partition {
			return true
		}
	}
	return numbers == nil
}

// reset commits the new offsets. The coordinator refuses that once somebody has joined the group.
func reset(ctx context.Context, ad *kadm.Client, name string, rows []resetRow) error {
	offsets := kadm.Offsets{}
	for _, r := range rows {
		offsets.AddOffset(r.Topic, r.Partition, r.New, -1)
	}
	answers, err := ad.CommitOffsets(ctx, name, offsets)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		return groupRefused(fmt.Sprintf("group %q was not reset", name), err, "")
	}
	return nil
}
