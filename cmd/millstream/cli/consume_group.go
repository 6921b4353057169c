package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	urfave "github.com/urfave/cli/v2"
)

// Times of a member of a group. A member that is killed is missed after the session.
const (
	groupSession   = 10 * time.Second
	groupHeartbeat = time.Second
	groupCommit    = 5 * time.Second // bounds one commit
)

// consumeGroup prints records as a member of a group, and commits what it has printed.
func (s *shell) consumeGroup(c *urfave.Context, where position, r *reading) error {
	group := c.String("group")
	reset := kgo.NewOffset().AtStart()
	switch {
	case c.IsSet("partition"):
		return usage("--partition and --group exclude each other").
			because("a group shares the partitions out by itself").hint("leave --partition out")
	case where.kind == fromEnd:
		reset = kgo.NewOffset().AtEnd()
	case where.kind != fromStart:
		return usage("-o %s and --group exclude each other", c.String("offset")).
			because("a group goes on where it has committed; start and end say where a new one begins").
			hint("`millstream group reset %s`", group)
	}
	cl, err := s.dial(c.Context, c.String("brokers"),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(c.Args().Slice()...), kgo.ConsumeResetOffset(reset),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(fetchWait),
		kgo.SessionTimeout(groupSession), kgo.HeartbeatInterval(groupHeartbeat))
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	ad := kadm.NewClient(cl)
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	for _, t := range c.Args().Slice() {
		if _, err := topicOf(ctx, ad, t); err != nil {
			return err
		}
	}
	return s.readGroup(c, cl, ad, group, r)
}

func (s *shell) readGroup(c *urfave.Context, cl *kgo.Client, ad *kadm.Client, group string, r *reading) error {
	ctx := c.Context
	s.measure(r)
	defer func() { r.meter.end() }()
	var out []byte
	for r.left != 0 {
		most := 10_000
		if r.left > 0 {
			most = int(min(r.left, int64(most)))
		}
		short, cancel := context.WithTimeout(ctx, fetchWait)
		fetches := cl.PollRecords(short, most)
		idle := short.Err() != nil && fetches.NumRecords() == 0
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
		if idle {
			cl.AllowRebalance()
			if c.Bool("exit-at-end") && caughtUp(ctx, ad, group, c.Args().Slice()) {
				return nil
			}
			continue
		}
		if err := fetchFailure(fetches); err != nil {
			return err
		}
		out = out[:0]
		for _, rec := range fetches.Records() {
			out = r.write(out, rec)
			r.left -= min(max(r.left, 0), 1)
		}
		if _, err := s.Stdout.Write(out); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		r.meter.add(int64(fetches.NumRecords()))
		if err := commitPrinted(ctx, cl, fetches.Records()); err != nil {
			return groupRefused(fmt.Sprintf("what was printed was not committed to group %q", group), err, "")
		}
		cl.AllowRebalance()
	}
	return nil
}

// commitPrinted commits behind what was printed, also when the command is being interrupted.
func commitPrinted(ctx context.Context, cl *kgo.Client, records []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), groupCommit)
	defer cancel()
	return cl.CommitRecords(ctx, records...)
}

// caughtUp reports whether the group has nothing left to read in the topics; no answer is no.
func caughtUp(ctx context.Context, ad *kadm.Client, group string, topics []string) bool {
	ctx, cancel := context.WithTimeout(ctx, groupCommit)
	defer cancel()
	lags, err := ad.Lag(ctx, group)
	lag := lags[group]
	if err != nil || lag.Error() != nil || lag.State != "Stable" {
		return false
	}
	for _, t := range topics {
		for _, p := range lag.Lag[t] {
			if p.Lag != 0 {
				return false
			}
		}
	}
	return true
}
