package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/benchmarks/kafkaload"
	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
)

// idlers makes groups of one member with a committed offset each and leaves them alone. Their sessions are longer
// than that lasts.
func (c settings) idlers(p *server.Process, groups int) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := kafkaload.Create(ctx, p.Kafka, topic, 1, nil); err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.Kafka), level())
	if err != nil {
		return nil, err
	}
	for n := range max(groups, 1) { // the first one makes the offsets topic, which is not what is measured
		if err := settle(ctx, cl, fmt.Sprintf("idle-%d", n)); err != nil {
			cl.Close()
			return nil, err
		}
	}
	cl.Close()
	<-time.After(c.idle / 2)
	cpu, err1 := measure.CPU(p.Pid())
	begin := time.Now()
	<-time.After(c.idle)
	cpuEnd, err2 := measure.CPU(p.Pid())
	took := time.Since(begin)
	anonymous, err3 := measure.AnonymousMemory(p.Pid())
	return map[string]float64{
		"anon_mb": float64(anonymous) / (1 << 20), "cpu_s_in_10": (cpuEnd - cpu).Seconds() / took.Seconds() * 10,
	}, errors.Join(err1, err2, err3)
}

// settle makes a stable group of one member, and commits an offset in its name.
func settle(ctx context.Context, cl *kgo.Client, group string) error {
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = group, 300_000, 60_000
	join.ProtocolType = "consumer"
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}}
	joined, err := join.RequestWith(ctx, cl)
	if err == nil && joined.ErrorCode == kerr.MemberIDRequired.Code {
		join.MemberID = joined.MemberID
		joined, err = join.RequestWith(ctx, cl)
	}
	if err == nil {
		err = kerr.ErrorForCode(joined.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("join group %s: %w", group, err)
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = group, joined.MemberID, joined.Generation
	sync.ProtocolType, sync.Protocol = joined.ProtocolType, joined.Protocol
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: joined.MemberID, MemberAssignment: make([]byte, 10)}}
	synced, err := sync.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(synced.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("sync group %s: %w", group, err)
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = group, joined.MemberID, joined.Generation
	return committed(ctx, cl, req, 0, 1)
}
