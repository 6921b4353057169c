package kafka

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: whatever the mix and however clients leave, nothing is kept. Method: connections that pipeline
// Produce, Fetch and Metadata and hang up in between, from a seed, over a small budget; at the end all
// credit and all buffers are back.
func TestMixedLoadKeepsNothing(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 2).ID
	member := NewCredit(512 << 10)
	d := openDoor(t, port, func(o *Options) { o.ConnectionBytes, o.MemberBytes = 256<<10, member })
	var wg sync.WaitGroup
	for seed := range uint64(6) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 9))
			for range 15 {
				mixedConnection(d, rnd, id)
			}
		})
	}
	wg.Wait()
	eventually(t, "everything is back", func() bool {
		port.mu.Lock()
		defer port.mu.Unlock()
		return member.Used() == 0 && port.released.Load() == port.fetches.Load() && len(port.waiters) == 0
	})
}

// mixedConnection sends some requests, reads some of the answers and hangs up.
func mixedConnection(d *door, rnd *rand.Rand, id [16]byte) {
	r := d.dial()
	defer r.nc.Close()
	r.nc.SetDeadline(time.Now().Add(patience))
	sent := 0
	for range 1 + rnd.IntN(8) {
		var req kmsg.Request
		switch rnd.IntN(4) {
		case 0:
			req = metadataRequest(12, nil, false)
		case 1:
			f := fetchRequest(12, "t", id, 0)
			f.MaxWaitMillis, f.MinBytes = 5, int32(rnd.IntN(1<<20))
			req = f
		default:
			p := produceRequest(9, "t", id, int32(rnd.IntN(2)), testBatch(string(make([]byte, rnd.IntN(40_000))), 1))
			if p.Acks = int16(rnd.IntN(3) - 1); p.Acks == 0 {
				sent--
			}
			req = p
		}
		r.send(req)
		sent++
	}
	for range rnd.IntN(sent + 1) {
		r.answer()
	}
}
