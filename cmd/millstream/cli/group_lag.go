package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
)

// lagRow is one partition of `group lag`: what is committed (-1: nothing), where the partition ends, and how
// many records lie between, all that are there where nothing is committed; -1 where the topic is gone. Member is empty
// while nobody reads the partition.
type lagRow struct {
	Topic     string           `json:"topic"`
	Partition record.Partition `json:"partition"`
	Committed record.Offset    `json:"committed"`
	End       record.Offset    `json:"end"`
	Lag       int64            `json:"lag"`
	Member    string           `json:"member"`
}

func (s *shell) groupLagCommand() *urfave.Command {
	return &urfave.Command{
		Name: "lag", Usage: "show how far a group is behind, by partition", ArgsUsage: "NAME",
		Flags:  []urfave.Flag{outputFlag(), addrFlag(), timeoutFlag()},
		Action: s.groupLag,
	}
}

func (s *shell) groupLag(c *urfave.Context) error {
	name, form, err := nameAndForm(c)
	if err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		g, err := groupOf(ctx, cl, name)
		if err != nil {
			return err
		}
		rows, err := lagOf(ctx, cl, g)
		if err != nil {
			return err
		}
		total := int64(0)
		l := listing{columns: []string{"topic", "partition", "committed", "end", "lag", "member"}}
		for _, r := range rows {
			total += max(r.Lag, 0)
			l.names = append(l.names, fmt.Sprintf("%s/%d", r.Topic, r.Partition))
			l.rows = append(l.rows, []string{
				r.Topic, strconv.Itoa(int(r.Partition)), known(int64(r.Committed)), known(int64(r.End)), known(r.Lag), orDash(r.Member),
			})
		}
		l.value = rows
		if err := s.show(form, l); err != nil || form != "table" {
			return err
		}
		s.notef("%s behind", count(total, "record"))
		return nil
	})
}

// lagOf measures a group: all partitions of the topics in which it has committed or has readers, sorted.
func lagOf(ctx context.Context, cl *client.Client, g client.GroupDescription) ([]lagRow, error) {
	committed, err := committedOf(ctx, cl, g.Name)
	if err != nil {
		return nil, err
	}
	readers, topics := map[client.TopicPartition]string{}, map[string]bool{}
	for _, m := range g.Members {
		for _, p := range m.Partitions {
			readers[p], topics[p.Topic] = m.ID, true
		}
	}
	for p := range committed {
		topics[p.Topic] = true
	}
	held := map[string][]extent{}
	if len(topics) > 0 {
		described, err := cl.Topics(ctx, slices.Sorted(maps.Keys(topics))...)
		if err == nil {
			described = slices.DeleteFunc(described, func(t client.TopicMetadata) bool { return t.Err != nil })
			held, err = extents(ctx, cl, described...)
		}
		if err != nil {
			return nil, refused(fmt.Sprintf("the lag of group %q could not be measured", g.Name), err)
		}
	}
	rows := []lagRow{} // an empty list is [] in JSON
	for topic, partitions := range held {
		for n, e := range partitions {
			p := client.TopicPartition{Topic: topic, Partition: record.Partition(n)}
			r := lagRow{Topic: topic, Partition: p.Partition, Committed: -1, End: e.end, Lag: int64(e.end - e.start), Member: readers[p]}
			if o, ok := committed[p]; ok && o.Offset >= 0 {
				r.Committed, r.Lag = o.Offset, int64(max(e.end-o.Offset, 0))
			}
			rows = append(rows, r)
		}
	}
	for p, o := range committed {
		if int(p.Partition) >= len(held[p.Topic]) {
			rows = append(rows, lagRow{Topic: p.Topic, Partition: p.Partition, Committed: o.Offset, End: -1, Lag: -1})
		}
	}
	slices.SortFunc(rows, func(a, b lagRow) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return rows, nil
}
