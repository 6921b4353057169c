package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/benchmarks/kafkaload"
	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
)

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// form makes the topic and a crew that owns all of it.
func form(ctx context.Context, address string, members, partitions int) (*crew, error) {
	if err := kafkaload.Create(ctx, address, topic, partitions, nil); err != nil {
		return nil, err
	}
	g := newCrew(address)
	for range members {
		if err := g.join(); err != nil {
			return g, err
		}
	}
	return g, g.await(ctx, partitions, true)
}

// rebalances takes a member away with a farewell, one without, and adds partitions.
func (c settings) rebalances(p *server.Process) (figures map[string]float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g, err := form(ctx, p.Kafka, c.members, c.partitions)
	if g != nil {
		defer g.close()
	}
	if err != nil {
		return nil, err
	}
	figures = map[string]float64{}
	gone := g.take()
	begin := time.Now()
	gone.cl.CloseAllowingRebalance()
	g.disown(gone)
	if err := g.await(ctx, c.partitions, false); err != nil {
		return nil, fmt.Errorf("after one has left: %w", err)
	}
	figures["leave_ms"] = milliseconds(time.Since(begin))
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.Kafka))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	if c.crash {
		if err := errors.Join(g.join(), g.await(ctx, c.partitions, true)); err != nil {
			return nil, err
		}
		if figures["crash_ms"], err = c.crashes(ctx, g, admin); err != nil {
			return nil, fmt.Errorf("after one was cut off: %w", err)
		}
	}
	begin = time.Now()
	grown, err := admin.UpdatePartitions(ctx, c.partitions+c.more, topic)
	if err := errors.Join(err, grown.Error()); err != nil {
		return nil, err
	}
	figures["create_ms"] = milliseconds(time.Since(begin))
	if err := g.await(ctx, c.partitions+c.more, false); err != nil {
		return nil, fmt.Errorf("after partitions were made: %w", err)
	}
	figures["grow_ms"] = milliseconds(time.Since(begin))
	return figures, nil
}

// crashes cuts a member off and measures from its expulsion on.
func (c settings) crashes(ctx context.Context, g *crew, admin *kadm.Client) (ms float64, err error) {
	if err := stable(ctx, admin, true); err != nil {
		return 0, err
	}
	gone := g.take()
	gone.sever()
	if err := stable(ctx, admin, false); err != nil {
		return 0, err
	}
	begin := time.Now()
	g.disown(gone)
	err = g.await(ctx, c.partitions, false)
	ms = milliseconds(time.Since(begin))
	gone.mend()
	gone.cl.CloseAllowingRebalance()
	return ms, err
}

// stable waits until the group is described as stable, or as anything else.
func stable(ctx context.Context, admin *kadm.Client, want bool) error {
	for tick := time.NewTicker(2 * time.Millisecond); ; <-tick.C {
		all, err := admin.DescribeGroups(ctx, groupName)
		if err := errors.Join(err, all.Error()); err != nil {
			return err
		}
		if (all[groupName].State == "Stable") == want {
			return nil
		}
	}
}

// commits lets every member of a group commit one position after the other.
func (c settings) commits(p *server.Process) (figures map[string]float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g, err := form(ctx, p.Kafka, c.consumers, c.consumers)
	if g != nil {
		defer g.close()
	}
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(c.commit)
	begin := time.Now()
	took, faults := make([][]time.Duration, len(g.members)), make([]error, len(g.members))
	var all sync.WaitGroup
	for i, m := range g.members {
		all.Go(func() {
			for at := int64(1); faults[i] == nil && time.Now().Before(until); at++ {
				sent := time.Now()
				if faults[i] = commit(ctx, m.cl, groupName, int32(i), at); faults[i] == nil {
					took[i] = append(took[i], time.Since(sent))
				}
			}
		})
	}
	all.Wait()
	seconds := time.Since(begin).Seconds()
	done := slices.Concat(took...)
	figures = map[string]float64{"commits_per_s": float64(len(done)) / seconds}
	measure.Latencies(figures, done)
	return figures, errors.Join(faults...)
}

// commit commits one position as the member that the client is, or as nobody.
func commit(ctx context.Context, cl *kgo.Client, group string, partition int32, at int64) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = group
	req.MemberID, req.Generation = cl.GroupMetadata()
	return committed(ctx, cl, req, partition, at)
}

func committed(ctx context.Context, cl *kgo.Client, req *kmsg.OffsetCommitRequest, partition int32, at int64) error {
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, at
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = topic, []kmsg.OffsetCommitRequestTopicPartition{p}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}
