package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster"
)

// pipes is a listener of net.Pipe ends. Its connections die with it.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9092} }

// groupWorld is a member in a bubble, whose clients come over pipes, and what is known of one topic's records.
type groupWorld struct {
	t   *testing.T
	dir string
	m   *cluster.Member

	mu   sync.Mutex
	door *pipes
}

func newGroupWorld(t *testing.T) *groupWorld {
	w := &groupWorld{t: t, dir: t.TempDir()}
	w.boot()
	return w
}

// boot begins a life of the member.
func (w *groupWorld) boot() {
	w.t.Helper()
	door := newPipes()
	m, err := cluster.Start(context.Background(), cluster.Config{DataDir: w.dir, KafkaListener: door})
	if err != nil {
		w.t.Fatal(err)
	}
	w.m = m
	w.mu.Lock()
	w.door = door
	w.mu.Unlock()
}

func (w *groupWorld) close() {
	w.t.Helper()
	if err := w.m.Close(); err != nil {
		w.t.Error(err)
	}
}

// wire is how one client reaches the member: it can be held, so that nothing passes, and cut.
type wire struct {
	w *groupWorld

	mu    sync.Mutex
	free  chan struct{} // closed while it is not held
	cut   bool
	conns []net.Conn
}

func (w *groupWorld) wire() *wire {
	free := make(chan struct{})
	close(free)
	return &wire{w: w, free: free}
}

func (l *wire) gate() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.free
}

// hold stops everything for a while. A wire that is held already stays so for its own time.
func (l *wire) hold(d time.Duration) {
	free := make(chan struct{})
	l.mu.Lock()
	select {
	case <-l.free:
		l.free = free
	default:
	}
	l.mu.Unlock()
	<-time.After(d)
	close(free)
}

// sever ends all connections, and lets none begin.
func (l *wire) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for _, c := range l.conns {
		_ = c.Close()
	}
}

func (l *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	<-l.gate()
	l.w.mu.Lock()
	door := l.w.door
	l.w.mu.Unlock()
	here, there := net.Pipe()
	l.mu.Lock()
	cut := l.cut
	l.conns = append(l.conns, here)
	l.mu.Unlock()
	if cut {
		return nil, net.ErrClosed
	}
	select {
	case door.conns <- there:
		return held{here, l}, nil
	case <-door.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// held is a connection of a wire.
type held struct {
	net.Conn
	l *wire
}

func (c held) Write(b []byte) (int, error) { <-c.l.gate(); return c.Conn.Write(b) }
func (c held) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	<-c.l.gate()
	return n, err
}

// client is a franz-go client over a wire. The caller closes it.
func (w *groupWorld) client(l *wire, opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	base := []kgo.Opt{
		kgo.SeedBrokers("127.0.0.1:9092"), kgo.Dialer(l.dial), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }), kgo.RetryTimeout(15 * time.Second),
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return cl
}

// part is a partition of a topic.
type part struct {
	topic string
	n     int32
}

// ledger is what all members of one group did, and what must never be.
type ledger struct {
	mu         sync.Mutex
	faults     []error
	generation int32
	owners     map[int32]map[part]string // by generation
	acked      map[part]int64            // positions that are committed for sure
	tried      map[part]int64            // the highest position that anybody tried to commit
	seen       map[part]int64            // every record before this one was read
	again      int                       // records that were read more than once
}

func newLedger() *ledger {
	return &ledger{
		owners: map[int32]map[part]string{}, acked: map[part]int64{}, tried: map[part]int64{}, seen: map[part]int64{},
	}
}

func (k *ledger) fail(format string, args ...any) {
	if len(k.faults) < 20 {
		k.faults = append(k.faults, fmt.Errorf(format, args...))
	}
}

// owns notes that a member has a partition in a generation, and returns from where it may begin to read at the least.
func (k *ledger) owns(generation int32, member string, p part) (least int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	in := k.owners[generation]
	if in == nil {
		in = map[part]string{}
		k.owners[generation] = in
	}
	if was, taken := in[p]; taken && was != member {
		k.fail("%v of generation %d belongs to %s and %s", p, generation, was, member)
	}
	in[p] = member
	k.generation = max(k.generation, generation)
	return k.acked[p]
}

// read notes a record; next is what the reader must get, -1 for its first one, which must not lie before least.
func (k *ledger) read(member string, p part, offset, next, least int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case next >= 0 && offset != next:
		k.fail("%s read %v at %d after %d", member, p, offset, next-1)
	case next < 0 && offset < least:
		k.fail("%s begins %v at %d, although %d was committed before it was given it", member, p, offset, least)
	case next < 0 && offset > k.tried[p]:
		k.fail("%s begins %v at %d, nobody got further than %d", member, p, offset, k.tried[p])
	}
	if offset > k.seen[p] {
		k.fail("%s read %v at %d, nobody read %d", member, p, offset, k.seen[p])
	}
	if offset < k.seen[p] {
		k.again++
	}
	k.seen[p] = max(k.seen[p], offset+1)
}

func (k *ledger) tries(p part, position int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried[p] = max(k.tried[p], position)
}

func (k *ledger) acks(p part, position int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.acked[p] = max(k.acked[p], position)
}

// check fails the test for what must never be.
func (k *ledger) check(t *testing.T) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, err := range k.faults {
		t.Error(err)
	}
}

// reader is one member of a group, as an application is one: it reads, and commits what it has read.
type reader struct {
	k     *ledger
	name  string
	group string
	wire  *wire
	cl    *kgo.Client
	stop  context.CancelFunc
	done  chan struct{}

	mu    sync.Mutex
	owned map[part]*reading
}

// reading is a partition that a reader has: the position to read next, -1 at first, and where it may begin.
type reading struct{ next, least int64 }

func (w *groupWorld) reader(k *ledger, name, group, topic string, opts ...kgo.Opt) *reader {
	w.t.Helper()
	r := &reader{k: k, name: name, group: group, wire: w.wire(), done: make(chan struct{}), owned: map[part]*reading{}}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.cl = w.client(r.wire, append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.SessionTimeout(10 * time.Second), kgo.RebalanceTimeout(10 * time.Second),
		kgo.HeartbeatInterval(time.Second), kgo.FetchMaxWait(500 * time.Millisecond), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(r.assigned), kgo.OnPartitionsRevoked(r.lost), kgo.OnPartitionsLost(r.lost),
	}, opts...)...)
	go r.run(ctx)
	return r
}

func (r *reader) assigned(_ context.Context, cl *kgo.Client, added map[string][]int32) {
	member, generation := cl.GroupMetadata()
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, numbers := range added {
		for _, n := range numbers {
			r.owned[part{topic, n}] = &reading{next: -1}
		}
	}
	for p, of := range r.owned {
		if least := r.k.owns(generation, member, p); of.next < 0 {
			of.least = least
		}
	}
}

func (r *reader) lost(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, numbers := range gone {
		for _, n := range numbers {
			delete(r.owned, part{topic, n})
		}
	}
}

func (r *reader) run(ctx context.Context) {
	defer close(r.done)
	for ctx.Err() == nil {
		fs := r.cl.PollRecords(ctx, 20)
		var last []*kgo.Record
		fs.EachPartition(func(f kgo.FetchTopicPartition) {
			p := part{f.Topic, f.Partition}
			r.mu.Lock()
			of := r.owned[p]
			r.mu.Unlock()
			for _, rec := range f.Records {
				if of == nil {
					r.k.mu.Lock()
					r.k.fail("%s read %v at %d without having it", r.name, p, rec.Offset)
					r.k.mu.Unlock()
					continue
				}
				r.k.read(r.name, p, rec.Offset, of.next, of.least)
				of.next = rec.Offset + 1
			}
			if n := len(f.Records); n > 0 {
				last = append(last, f.Records[n-1])
				r.k.tries(p, f.Records[n-1].Offset+1)
			}
		})
		if len(last) > 0 {
			r.commit(ctx, last)
		}
		r.cl.AllowRebalance()
	}
}

// commit commits behind records. It does so with a request of its own: the client's commits wait in a mutex while
// the group rebalances, and fake time stands still for whoever does that.
func (r *reader) commit(ctx context.Context, last []*kgo.Record) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = r.group
	req.MemberID, req.Generation = r.cl.GroupMetadata()
	for _, rec := range last {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch = rec.Partition, rec.Offset+1, rec.LeaderEpoch
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.Partitions = rec.Topic, []kmsg.OffsetCommitRequestTopicPartition{p}
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, r.cl)
	if err != nil {
		return // it may or may not be committed
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if i := slices.IndexFunc(last, func(rec *kgo.Record) bool { return rec.Partition == p.Partition }); p.ErrorCode == 0 {
				r.k.acks(part{t.Topic, p.Partition}, last[i].Offset+1)
			}
		}
	}
}

// leave ends a reader as an application does that is closed.
func (r *reader) leave() {
	r.stop()
	<-r.done
	r.cl.CloseAllowingRebalance()
}

// crash ends a reader without a word to anybody.
func (r *reader) crash() {
	r.wire.sever()
	r.leave()
}

// write adds n records to partitions of a topic in turn, and returns the first refusal.
func write(cl *kgo.Client, topic string, partitions int32, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var faults []error
	for i := range n {
		rec := &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Value: []byte("v")}
		faults = append(faults, cl.ProduceSync(ctx, rec).FirstErr())
	}
	return errors.Join(faults...)
}

// lags returns how far a group is behind, by partition.
func (w *groupWorld) lags(group string) map[part]kadm.GroupMemberLag {
	w.t.Helper()
	cl := w.client(w.wire())
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all, err := kadm.NewClient(cl).Lag(ctx, group)
	lag := all[group]
	if err := errors.Join(err, lag.Error()); errors.Is(err, kerr.GroupIDNotFound) {
		return nil // nobody has come yet
	} else if err != nil {
		w.t.Fatal(err)
	}
	out := map[part]kadm.GroupMemberLag{}
	for _, p := range lag.Lag.Sorted() {
		out[part{p.Topic, p.Partition}] = p
	}
	return out
}

// caughtUp waits until everything that a group has not read is read and committed, in fake time.
func (w *groupWorld) caughtUp(group string, partitions int, patience time.Duration) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; <-time.After(time.Second) {
		behind, lags := int64(0), w.lags(group)
		for _, p := range lags {
			if behind += p.Lag; p.Lag < 0 || p.Commit.At < 0 {
				behind++
			}
		}
		if len(lags) == partitions && behind == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("group %s is behind after %s: %d of %d partitions have a position, %d records are left",
				group, patience, len(lags), partitions, behind)
		}
	}
}
