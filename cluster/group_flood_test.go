package cluster_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/client"
)

// raw is a connection that says what no client would. It sends ahead of the answers; they come in order.
type raw struct {
	w    *groupWorld
	conn net.Conn
	name string // the client id
}

func (w *groupWorld) raw(name string) *raw {
	w.t.Helper()
	conn, err := w.wire().dial(context.Background(), "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	return &raw{w, conn, name}
}

func (r *raw) close() { _ = r.conn.Close() }

// asks sends requests and hands each answer to told, until all have come.
func (r *raw) asks(requests []kmsg.Request, told func(i int, a kmsg.Response)) {
	var sender sync.WaitGroup
	sender.Go(func() {
		f := kmsg.NewRequestFormatter(kmsg.FormatterClientID(r.name))
		for i, q := range requests {
			if _, err := r.conn.Write(f.AppendRequest(nil, q, int32(i))); err != nil {
				r.w.t.Error(err)
				return
			}
		}
	})
	defer sender.Wait()
	for i, q := range requests {
		var size [4]byte
		if _, err := io.ReadFull(r.conn, size[:]); err != nil {
			r.w.t.Error(err)
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(r.conn, body); err != nil {
			r.w.t.Error(err)
			return
		}
		a, head := q.ResponseKind(), 4
		if q.IsFlexible() {
			head++
		}
		a.SetVersion(q.GetVersion())
		if err := a.ReadFrom(body[head:]); err != nil || binary.BigEndian.Uint32(body) != uint32(i) {
			r.w.t.Errorf("answer %d: %v", i, err)
			return
		}
		told(i, a)
	}
}

// ask is asks for one request.
func (r *raw) ask(q kmsg.Request) (answer kmsg.Response) {
	r.asks([]kmsg.Request{q}, func(_ int, a kmsg.Response) { answer = a })
	return answer
}

const sessionMs, rebalanceMs = 6_000, 10_000

var nothing = make([]byte, 3<<20) // what members say, so that it is in the heap of the tests once

// joinRequest is a dynamic member's; before version 4 it is taken at once, later it is told its id first.
func joinRequest(group string, version int16, metadata int) *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version, q.Group, q.ProtocolType = version, group, "consumer"
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = sessionMs, rebalanceMs
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", nothing[:metadata]
	q.Protocols = append(q.Protocols, p)
	return q
}

func syncRequest(group string, a *kmsg.JoinGroupResponse, assign int) *kmsg.SyncGroupRequest {
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.MemberID, q.Generation = 3, group, a.MemberID, a.Generation
	if a.LeaderID == a.MemberID {
		g := kmsg.NewSyncGroupRequestGroupAssignment()
		g.MemberID, g.MemberAssignment = a.MemberID, make([]byte, assign)
		q.GroupAssignment = append(q.GroupAssignment, g)
	}
	return q
}

// flood sends so many requests over so many connections at once. It counts the error codes of the answers.
func (w *groupWorld) flood(conns, each int, name string, request func(i int) kmsg.Request) map[int16]int {
	w.t.Helper()
	var mu sync.Mutex
	codes := map[int16]int{}
	var all sync.WaitGroup
	for c := range conns {
		all.Go(func() {
			r := w.raw(name)
			defer r.close()
			var qs []kmsg.Request
			for i := range each {
				qs = append(qs, request(c*each+i))
			}
			r.asks(qs, func(_ int, a kmsg.Response) {
				mu.Lock()
				defer mu.Unlock()
				codes[codeOf(a)]++
			})
		})
	}
	all.Wait()
	return codes
}

func codeOf(a kmsg.Response) int16 {
	switch a := a.(type) {
	case *kmsg.JoinGroupResponse:
		return a.ErrorCode
	case *kmsg.SyncGroupResponse:
		return a.ErrorCode
	case *kmsg.HeartbeatResponse:
		return a.ErrorCode
	}
	return -1
}

// heap is what is alive, in MB.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one found in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) >> 20
}

// members is how many members a group has as the member describes it, and its state.
func (w *groupWorld) members(r *raw, group string) (int, string) {
	q := kmsg.NewPtrDescribeGroupsRequest()
	q.Version, q.Groups = 4, []string{group}
	a := r.ask(q).(*kmsg.DescribeGroupsResponse)
	return len(a.Groups[0].Members), a.Groups[0].State
}

// loaded has the coordinator of a group read its rows: what comes while it does so waits, up to a limit of its own.
func (w *groupWorld) loaded(group string) {
	r := w.raw("early")
	defer r.close()
	h := kmsg.NewPtrHeartbeatRequest()
	h.Version, h.Group, h.MemberID = 3, group, "nobody"
	if code := codeOf(r.ask(h)); code != kerr.UnknownMemberID.Code {
		w.t.Errorf("a heartbeat of nobody: %v", kerr.ErrorForCode(code))
	}
}

// undisturbed runs f while a group reads what is written, and then looks whether it read all of it without having to
// rebalance even once.
func (w *groupWorld) undisturbed(f func()) {
	w.t.Helper()
	if _, err := w.m.Client().CreateTopic(context.Background(), client.NewTopic{Name: "t", Partitions: 2}); err != nil {
		w.t.Fatal(err)
	}
	k := newLedger()
	reader := w.reader(k, "honest", "honest", "t")
	producer := w.client(w.wire(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	defer producer.Close()
	load, end := sync.WaitGroup{}, make(chan struct{})
	load.Go(func() {
		for {
			if err := write(producer, "t", 2, 2); err != nil {
				w.t.Error(err)
				return
			}
			select {
			case <-end:
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	<-time.After(2 * time.Second)
	f()
	close(end)
	load.Wait()
	w.caughtUp("honest", 2, time.Minute)
	reader.leave()
	if k.check(w.t); k.generation != 1 {
		w.t.Errorf("the group of others went through %d generations", k.generation)
	}
}

// Goal: more members than a group takes, with long names and much to say, that never sync and never heartbeat, cost a
// bounded amount of memory and nobody else anything; each is answered at once or when the group has formed, with a
// code that says what is wrong; all are gone when their time is over. Method: thousands of joins of one group over
// pipes in fake time, in three kinds, beside a group that works; the heap is measured while they are there.
func TestFloodOfMembers(t *testing.T) {
	tooMany, again := kerr.GroupMaxSizeReached.Code, kerr.MemberIDRequired.Code
	for name, c := range map[string]struct {
		client  string
		version int16
		bytes   int
		taken   int16 // the code of those that the group takes
		most    int   // so many at the most; the first one is expelled meanwhile and makes room for another
		least   int
		heap    int64 // MB that they may take
	}{
		"members":            {"flood", 3, 100, 0, 5001, 5000, 48},
		"ids nobody uses":    {"flood", 5, 100, again, 5000, 5000, 32},
		"long names":         {strings.Repeat("n", 30_000), 3, 100, 0, 3500, 3000, 48},
		"much to subscribe":  {"flood", 3, 100_000, 0, 21, 20, 32},
		"more than is taken": {"flood", 3, 3 << 20, 0, 0, 0, 32},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newGroupWorld(t)
				defer func() { w.close() }()
				conns, each := 20, 300
				if c.bytes > 10_000 { // so much would wait for credit most of the time
					conns, each = 20, 300*1000/c.bytes+2
				}
				w.undisturbed(func() {
					w.loaded("flooded")
					before, began := heap(), time.Now()
					held, measured := int64(0), make(chan struct{})
					time.AfterFunc(5*time.Second, func() { held = heap() - before; close(measured) }) // before anybody's session ends
					codes := w.flood(conns, each, c.client, func(int) kmsg.Request { return joinRequest("flooded", c.version, c.bytes) })
					took := time.Since(began)
					<-measured
					taken, refused := codes[c.taken], codes[tooMany]
					if taken < c.least || taken > c.most || taken+refused != conns*each {
						t.Errorf("the answers were %v", codes)
					}
					if held > c.heap || took > 2*rebalanceMs*time.Millisecond {
						t.Errorf("%d MB were held; the answers took %s", held, took)
					}
					t.Logf("%d of %d taken, %d MB held, answered within %s", taken, conns*each, held, took)
					<-time.After((sessionMs + rebalanceMs) * time.Millisecond)
					r := w.raw("late")
					defer r.close()
					if n, state := w.members(r, "flooded"); n != 0 || state == "PreparingRebalance" {
						t.Errorf("%d members are left, %s", n, state)
					}
					if a := r.ask(joinRequest("flooded", 3, 10)).(*kmsg.JoinGroupResponse); a.ErrorCode != 0 || len(a.Members) != 1 {
						t.Errorf("a member that comes later: %v, %d members", kerr.ErrorForCode(a.ErrorCode), len(a.Members))
					}
				})
			})
		})
	}
}

// Goal: thousands of groups whose members never come back cost what they hold and no more, and give it back. Method:
// a member each, which neither syncs nor heartbeats; the heap while they are there, and when they are gone.
func TestFloodOfGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const groups, most = 3000, 60 // MB: 20 KB a group
		w := newGroupWorld(t)
		defer func() { w.close() }()
		w.undisturbed(func() {
			before := heap()
			codes := w.flood(20, groups/20, "flood", func(i int) kmsg.Request { return joinRequest(fmt.Sprint("flood-", i), 3, 1000) })
			held := heap() - before
			if codes[0] != groups || held > most {
				t.Errorf("%v, %d MB were held", codes, held)
			}
			<-time.After(2 * time.Minute) // sessions, and the naps of their actors
			left := heap() - before
			if left > most/6 {
				t.Errorf("%d MB are held still", left)
			}
			t.Logf("%d groups held %d MB, %d MB later", groups, held, left)
		})
	})
}

// Goal: nobody waits for ever in a rebalance, whatever the others do. Method: one honest member that joins, syncs and
// heartbeats, in a group with somebody who does not; how long its longest answer takes, in fake time, and whether the
// group is its own in the end.
func TestNobodyWaitsForEver(t *testing.T) {
	late := (sessionMs + rebalanceMs + 1000) * time.Millisecond
	for name, other := range map[string]func(w *groupWorld, r *raw){
		"a leader that never syncs": func(_ *groupWorld, r *raw) { r.ask(joinRequest("g", 3, 10)) },
		"a leader that assigns too much": func(_ *groupWorld, r *raw) {
			a := r.ask(joinRequest("g", 3, 10)).(*kmsg.JoinGroupResponse)
			if code := codeOf(r.ask(syncRequest("g", a, 3<<20))); code == 0 {
				r.w.t.Error("taken")
			}
		},
		"a member that hangs up while it joins": func(w *groupWorld, r *raw) {
			a := r.ask(joinRequest("g", 3, 10)).(*kmsg.JoinGroupResponse)
			r.ask(syncRequest("g", a, 10))
			gone := w.raw("gone")
			f := kmsg.NewRequestFormatter()
			_, _ = gone.conn.Write(f.AppendRequest(nil, joinRequest("g", 3, 10), 1))
			gone.close()
		},
		"a member that heartbeats and never joins again": func(_ *groupWorld, r *raw) { stays(r, joinRequest("g", 3, 10)) },
		"a static member that went": func(_ *groupWorld, r *raw) {
			q := joinRequest("g", 5, 10)
			q.InstanceID = kmsg.StringPtr("static")
			a := r.ask(q).(*kmsg.JoinGroupResponse)
			s := syncRequest("g", a, 10)
			s.InstanceID = q.InstanceID
			r.ask(s)
		},
		"ids that nobody uses": func(w *groupWorld, r *raw) {
			for range 3 {
				r.ask(joinRequest("g", 5, 10))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newGroupWorld(t)
				defer func() { w.close() }()
				bad, good := w.raw("bad"), w.raw("good")
				defer bad.close()
				defer good.close()
				other(w, bad)
				longest := honest(w, good)
				if n, state := w.members(good, "g"); n != 1 || state != "Stable" {
					t.Errorf("%d members, %s", n, state)
				}
				if longest > late {
					t.Errorf("it waited for %s", longest)
				}
				t.Logf("the longest wait was %s", longest)
			})
		})
	}
}

// stays is a member that is in the group and says so for a minute, and does not follow what it is told.
func stays(r *raw, q *kmsg.JoinGroupRequest) {
	a := r.ask(q).(*kmsg.JoinGroupResponse)
	r.ask(syncRequest(q.Group, a, 10))
	go func() {
		for range 60 {
			h := kmsg.NewPtrHeartbeatRequest()
			h.Version, h.Group, h.MemberID, h.Generation = 3, q.Group, a.MemberID, a.Generation
			if codeOf(r.ask(h)) == kerr.UnknownMemberID.Code {
				return
			}
			<-time.After(time.Second)
		}
	}()
}

// honest is a member as it should be, for two minutes. It returns how long its longest answer took.
func honest(w *groupWorld, r *raw) (longest time.Duration) {
	timed := func(q kmsg.Request) kmsg.Response {
		began := time.Now()
		a := r.ask(q)
		longest = max(longest, time.Since(began))
		return a
	}
	id, generation := "", int32(-1)
	codes := map[int16]bool{}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); <-time.After(time.Second) {
		h := kmsg.NewPtrHeartbeatRequest()
		h.Version, h.Group, h.MemberID, h.Generation = 3, "g", id, generation
		if id != "" && codeOf(timed(h)) == 0 {
			continue
		}
		q := joinRequest("g", 3, 10)
		q.MemberID = id
		a := timed(q).(*kmsg.JoinGroupResponse)
		if codes[a.ErrorCode] = true; a.ErrorCode != 0 {
			id = ""
			continue
		}
		id, generation = a.MemberID, a.Generation
		codes[codeOf(timed(syncRequest("g", a, 10)))] = true
	}
	for code := range maps.Keys(codes) {
		if err := kerr.ErrorForCode(code); err != nil && !slices.Contains([]error{
			kerr.RebalanceInProgress, kerr.UnknownMemberID,
		}, err) {
			w.t.Errorf("it was told %v", err)
		}
	}
	return longest
}
