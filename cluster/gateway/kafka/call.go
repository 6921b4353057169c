package kafka

import (
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
)

// The states of a call.
const (
	callOpen      int32 = iota
	callFinished        // the port has answered everything
	callAbandoned       // nobody will write the answer
)

// call is one request between its reader, the port and the writer. Whoever comes last frees it: the
// writer when it has written the answer, or the port's last done when the connection has gone.
type call struct {
	conn         *conn
	key, version int16
	correlation  int32
	flexible     bool // the body is; the answer's header too, but for ApiVersions
	who          broker.Who
	inBytes      int
	began        time.Time

	state atomic.Int32
	open  atomic.Int32  // dones that are owed, and one for the reader while it reads
	ready chan struct{} // closed when finished

	answer  func(o *output) // encodes the answer; runs on the writer
	release func()          // gives the answer's buffers back
	cost    atomic.Int64    // bytes charged to the connection and the member
}

// charge takes n bytes of credit for the call. It blocks; false means that the connection ends.
func (k *call) charge(n int) bool {
	if !k.conn.take(int64(n)) {
		return false
	}
	k.cost.Add(int64(n))
	return true
}

// force charges n bytes that a request in hand needs on top: it may not wait, since it holds some
// already. The next request waits instead.
func (k *call) force(n int) {
	k.cost.Add(int64(n))
	k.conn.force(int64(n))
}

// refund gives n bytes back that were charged, unless the call has been freed.
func (k *call) refund(n int) {
	for {
		cost := k.cost.Load()
		if cost < int64(n) {
			return
		}
		if k.cost.CompareAndSwap(cost, cost-int64(n)) {
			k.conn.give(int64(n))
			return
		}
	}
}

// owe says that the port will call done one more time.
func (k *call) owe() { k.open.Add(1) }

// done is called for each that was owed, and by the reader when it is through.
func (k *call) done() {
	n := k.open.Add(-1)
	if n > 0 {
		return
	}
	if n < 0 {
		must(false, "call %d v%d done more often than owed", k.key, k.version)
	}
	k.conn.unwatch(k)
	if k.state.CompareAndSwap(callOpen, callFinished) {
		close(k.ready)
		return
	}
	k.free()
}

// abandon says that the answer will not be written.
func (k *call) abandon() {
	if !k.state.CompareAndSwap(callOpen, callAbandoned) {
		k.free()
	}
}

// free gives back what the call holds.
func (k *call) free() {
	if k.release != nil {
		k.release()
		k.release = nil
	}
	k.conn.give(k.cost.Swap(0))
}
