package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinRequest asks for a member to join a group.
func joinRequest(version int16, group, id string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = version, group, id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 60_000, 60_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	req.Protocols = append(req.Protocols, p)
	return req
}

// Goal: a member lives its whole life in every version: join, sync, heartbeat, commit, fetch, leave. Method:
// raw requests, each in the version or the nearest one that is served.
func TestMemberEveryVersion(t *testing.T) {
	port := newMemPort()
	port.topic("t", 1)
	d := openDoor(t, port)
	r := d.dial()
	for v := int16(0); v <= 9; v++ {
		group := "group-" + string(rune('0'+v))
		joined := r.ask(joinRequest(v, group, "")).(*kmsg.JoinGroupResponse)
		if v >= joinGroupKnownID {
			if joined.ErrorCode != 79 || joined.MemberID == "" || joined.Generation != -1 {
				t.Fatalf("join v%d: %+v", v, joined)
			}
			joined = r.ask(joinRequest(v, group, joined.MemberID)).(*kmsg.JoinGroupResponse)
		}
		if joined.ErrorCode != 0 || joined.Generation != 1 || joined.LeaderID != joined.MemberID ||
			len(joined.Members) != 1 || *joined.Protocol != "range" {
			t.Fatalf("join v%d: %+v", v, joined)
		}
		live(t, r, v, group, joined.MemberID)
	}
}

// live takes a member through its generation.
func live(t *testing.T, r *raw, v int16, group, id string) {
	t.Helper()
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = min(v, 5), group, id, 1
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberID, a.MemberAssignment = id, []byte("part")
	sync.GroupAssignment = append(sync.GroupAssignment, a)
	if s := r.ask(sync).(*kmsg.SyncGroupResponse); s.ErrorCode != 0 || string(s.MemberAssignment) != "part" {
		t.Fatalf("sync v%d: %+v", v, s)
	}
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Version, beat.Group, beat.MemberID, beat.Generation = min(v, 4), group, id, 1
	if b := r.ask(beat).(*kmsg.HeartbeatResponse); b.ErrorCode != 0 {
		t.Fatalf("heartbeat v%d: %+v", v, b)
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Version, commit.Group, commit.MemberID, commit.Generation = max(v, 2), group, id, 1
	ct, cp := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	cp.Offset, cp.Metadata = 7, kmsg.StringPtr("mine")
	ct.Topic, ct.Partitions = "t", append(ct.Partitions, cp)
	commit.Topics = append(commit.Topics, ct)
	if c := r.ask(commit).(*kmsg.OffsetCommitResponse); len(c.Topics) != 1 || c.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("commit v%d: %+v", v, c)
	}
	checkFetched(t, r, max(v, 1), group)
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group, leave.MemberID = min(v, 5), group, id
	m, x := kmsg.NewLeaveGroupRequestMember(), kmsg.NewLeaveGroupRequestMember()
	m.MemberID, x.MemberID = id, "nobody"
	leave.Members = append(leave.Members, m, x)
	l := r.ask(leave).(*kmsg.LeaveGroupResponse)
	if l.ErrorCode != 0 || v >= leaveGroupBatch && (len(l.Members) != 2 || l.Members[0].ErrorCode != 0 || l.Members[1].ErrorCode != 25) {
		t.Fatalf("leave v%d: %+v", v, l)
	}
}

// checkFetched reads the position back, by name and with all others.
func checkFetched(t *testing.T, r *raw, v int16, group string) {
	t.Helper()
	for _, all := range []bool{false, true} {
		if all && v < 2 {
			continue
		}
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.Group = v, group
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = group
		if !all {
			req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0, 9}}}
			g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0, 9}}}
		}
		req.Groups = []kmsg.OffsetFetchRequestGroup{g, g}
		resp := r.ask(req).(*kmsg.OffsetFetchResponse)
		var got []kmsg.OffsetFetchResponseTopicPartition
		for _, rt := range resp.Topics {
			got = append(got, rt.Partitions...)
		}
		if v >= offsetFetchGroups {
			if len(resp.Groups) != 1 { // it stands twice
				t.Fatalf("fetch v%d: %+v", v, resp)
			}
			for _, p := range resp.Groups[0].Topics[0].Partitions {
				got = append(got, kmsg.OffsetFetchResponseTopicPartition(p))
			}
		}
		if len(got) < 1 || got[0].Offset != 7 || *got[0].Metadata != "mine" || !all && (len(got) != 2 || got[1].Offset != -1 || got[1].ErrorCode != 0) {
			t.Fatalf("fetch v%d, all %v: %+v", v, all, got)
		}
	}
}

// Goal: a coordinator is found in each version, and one key at a time or many. Method: raw requests.
func TestFindCoordinatorEveryVersion(t *testing.T) {
	r := openDoor(t, newMemPort()).dial()
	for v := int16(0); v <= 5; v++ {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version, req.CoordinatorKey, req.CoordinatorKeys = v, "a", []string{"a", "b", "a"}
		resp := r.ask(req).(*kmsg.FindCoordinatorResponse)
		if v < findCoordinatorBatch {
			if resp.ErrorCode != 0 || resp.NodeID != 1 || resp.Host == "" || resp.Port == 0 {
				t.Errorf("v%d: %+v", v, resp)
			}
			continue
		}
		if len(resp.Coordinators) != 2 || resp.Coordinators[1].Key != "b" || resp.Coordinators[1].NodeID != 1 {
			t.Errorf("v%d: %+v", v, resp)
		}
	}
}

// Goal: a Join that waits holds up neither the reading nor the rest of the port, its answer comes in its
// place, and a connection that ends gives it up. Method: two members on two connections; requests behind the
// Join that waits; then a Join whose client goes.
func TestJoinWaits(t *testing.T) {
	port := newMemPort()
	d := openDoor(t, port, func(o *Options) { o.DrainTimeout = patience })
	first, second := d.dial(), d.dial()
	a := first.ask(joinRequest(3, "g", "")).(*kmsg.JoinGroupResponse)
	joins, meta := joinRequest(3, "g", ""), kmsg.NewPtrMetadataRequest()
	meta.Version = 12
	second.send(joins)
	second.send(meta)
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group, beat.MemberID, beat.Generation = "g", a.MemberID, 1
	eventually(t, "the group rebalances", func() bool {
		return first.ask(beat).(*kmsg.HeartbeatResponse).ErrorCode == 27
	})
	again := first.ask(joinRequest(3, "g", a.MemberID)).(*kmsg.JoinGroupResponse)
	if again.Generation != 2 || len(again.Members) != 2 {
		t.Fatalf("%+v", again)
	}
	for i, req := range []kmsg.Request{joins, meta} {
		correlation, b := second.answer()
		if correlation != int32(i+1) {
			t.Fatalf("answer %d came in place %d", correlation, i+1)
		}
		decodeAnswer(t, req, b)
	}
	third := d.dial()
	third.send(joinRequest(3, "g", ""))
	beat.Generation = 2
	eventually(t, "the group rebalances again", func() bool {
		return first.ask(beat).(*kmsg.HeartbeatResponse).ErrorCode == 27
	})
	third.nc.Close()
	d.dial().send(joinRequest(3, "g", ""))
	begin := time.Now()
	d.stop()
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("the door waited %s for a Join", took)
	}
}

// Goal: what is listed and described follows the version. Method: a group of one member in each version.
func TestDescribeEveryVersion(t *testing.T) {
	port := newMemPort()
	r := openDoor(t, port).dial()
	joined := r.ask(joinRequest(3, "g", "")).(*kmsg.JoinGroupResponse)
	for v := int16(0); v <= 6; v++ {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Version, req.Groups = v, []string{"g", "nobody", "g"}
		resp := r.ask(req).(*kmsg.DescribeGroupsResponse)
		if len(resp.Groups) != 2 || resp.Groups[0].State != "CompletingRebalance" ||
			resp.Groups[0].Members[0].MemberID != joined.MemberID || resp.Groups[1].State != "Dead" {
			t.Fatalf("v%d: %+v", v, resp)
		}
		if code := resp.Groups[1].ErrorCode; (v >= 6) != (code == 69) {
			t.Errorf("v%d: code %d for a group that does not exist", v, code)
		}
	}
	for v := int16(0); v <= 5; v++ {
		for state, want := range map[string]int{"": 1, "completingrebalance": 1, "Empty": 0} {
			req := kmsg.NewPtrListGroupsRequest()
			req.Version = v
			if state != "" {
				req.StatesFilter = []string{state}
			}
			if v < 4 {
				want = 1
			}
			resp := r.ask(req).(*kmsg.ListGroupsResponse)
			if resp.ErrorCode != 0 || len(resp.Groups) != want {
				t.Fatalf("v%d, states %q: %+v", v, state, resp)
			}
		}
	}
}
