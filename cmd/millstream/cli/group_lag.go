package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	urfave "github.com/urfave/cli/v2"
)

// lagRow is one partition of `group lag`: what is committed (-1: nothing), where the partition ends, and how
// many records lie between. Member is empty while nobody reads the partition.
type lagRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"`
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
	Member    string `json:"member"`
}

func (s *shell) groupLagCommand() *urfave.Command {
	return &urfave.Command{
		Name: "lag", Usage: "show how far a group is behind, by partition", ArgsUsage: "NAME",
		Flags:  []urfave.Flag{outputFlag(), brokersFlag(), timeoutFlag()},
		Action: s.groupLag,
	}
}

func (s *shell) groupLag(c *urfave.Context) error {
	name, form, err := nameAndForm(c)
	if err != nil {
		return err
	}
	return s.admin(c, func(ctx context.Context, ad *kadm.Client) error {
		if _, err := groupOf(ctx, ad, name); err != nil {
			return err
		}
		lags, err := ad.Lag(ctx, name)
		lag := lags[name]
		if err == nil {
			err = lag.Error()
		}
		if err != nil {
			return refused(fmt.Sprintf("the lag of group %q could not be measured", name), err, "")
		}
		rows, total := []lagRow{}, int64(0)
		l := listing{columns: []string{"topic", "partition", "committed", "end", "lag", "member"}}
		for _, p := range lag.Lag.Sorted() {
			r := lagRow{Topic: p.Topic, Partition: p.Partition, Committed: p.Commit.At, End: p.End.Offset, Lag: p.Lag}
			if p.Member != nil {
				r.Member = p.Member.MemberID
			}
			rows, total = append(rows, r), total+max(r.Lag, 0)
			l.names = append(l.names, fmt.Sprintf("%s/%d", r.Topic, r.Partition))
			l.rows = append(l.rows, []string{
				r.Topic, strconv.Itoa(int(r.Partition)), known(r.Committed), known(r.End), known(r.Lag), orDash(r.Member),
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
