package partitiontest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/record"
)

// History is what clients and consumers saw, and the logs as they are in the end.
type History struct {
	acked    []acked
	bumped   map[int]bool // clients that had to start a new producer epoch
	observed map[record.Offset]seen
	leaders  map[record.Epoch]record.ReplicaID
	chains   map[uint64]uint64 // by index: what machines had applied
	trims    map[uint64]bool   // indexes at which a log start or a fence was proposed
	starts   map[record.Epoch]record.Offset
	asked    record.Offset // the highest log start that anybody asked for
	keepMs   int64         // how long retention keeps records; 0 where age decides nothing
	start    record.Offset // of the logs in the end
	logs     [][]seen      // per host
	fences   []fenced
	flushMs  int64 // how long what was acknowledged need not be durable
	crashes  []time.Time

	// Where the log is compacted.
	compacts bool
	deleteMs int64             // how long tombstones are kept
	made     map[place][]made  // what leaders put into the log
	terms    map[uint64]uint64 // by index, of what is committed
	known    uint64            // the highest of these indexes
	whole    []made            // the log as it would be without compaction and retention
	scans    []scanned
	skips    []skipped

	suspect []seen // what a replica with damage served

	failures []string
}

// acked is one acknowledged batch.
type acked struct {
	client, first, count int
	base                 record.Offset
	all                  bool
	sentAt               time.Time
	at                   time.Time // of the acknowledgement, or a little before
}

func newHistory() History {
	return History{
		bumped: map[int]bool{}, observed: map[record.Offset]seen{}, leaders: map[record.Epoch]record.ReplicaID{},
		chains: map[uint64]uint64{}, trims: map[uint64]bool{}, starts: map[record.Epoch]record.Offset{},
		made: map[place][]made{}, terms: map[uint64]uint64{},
	}
}

// fail notes a broken property. Only the first few are kept.
func (h *History) fail(property, format string, args ...any) {
	if len(h.failures) < 20 {
		h.failures = append(h.failures, property+": "+fmt.Sprintf(format, args...))
	}
}

// sawView notes who claims to lead.
func (h *History) sawView(v *segment.View, now time.Time) {
	if !v.Leader {
		return
	}
	if v.Ready {
		h.sawStart(v.Epoch, v.LogStart, now)
	}
	if other, ok := h.leaders[v.Epoch]; ok && other != v.Replica {
		h.fail("P5", "replicas %d and %d both lead epoch %d", other, v.Replica, v.Epoch)
	}
	h.leaders[v.Epoch] = v.Replica
	if v.LogStart > v.HighWatermark || v.HighWatermark > v.LogEnd {
		h.fail("P4", "replica %d shows the log [%d, %d] with high watermark %d", v.Replica, v.LogStart, v.LogEnd, v.HighWatermark)
	}
}

// sawStart: P4, a log start that a leader has announced never goes back, whoever leads later, and retention
// gives up nothing that the topic keeps.
func (h *History) sawStart(epoch record.Epoch, start record.Offset, now time.Time) {
	for _, e := range slices.Sorted(maps.Keys(h.starts)) {
		if s := h.starts[e]; e <= epoch && s > start {
			h.fail("P4", "the log start went back: %d in epoch %d, %d in epoch %d", s, e, start, epoch)
			break
		}
	}
	if start == h.starts[epoch] {
		return
	}
	h.starts[epoch] = max(start, h.starts[epoch])
	for _, a := range h.acked {
		if a.all && start > a.base && start > h.asked && h.keepMs > 0 && now.Sub(a.sentAt).Milliseconds() <= h.keepMs {
			h.fail("P4", "offset %d was sent %v ago and is given up, kept are %d ms", a.base, now.Sub(a.sentAt), h.keepMs)
			break
		}
	}
}

// observe notes what a consumer read; a record that was read once stays what it was.
func (h *History) observe(s seen) {
	if old, ok := h.observed[s.offset]; ok && old != s {
		h.fail("P4", "offset %d was read as %+v, and then as %+v", s.offset, old, s)
	}
	h.observed[s.offset] = s
}

// Check runs all checkers and returns what is broken.
func (h *History) Check() []string {
	if len(h.logs) == 0 || h.logs[0] == nil {
		h.fail("P9", "there is no log in the end")
		return h.failures
	}
	if h.compacts {
		h.checkCompacted()
	} else {
		h.checkSame()
		h.checkDense(h.logs[0], h.start)
	}
	h.checkSuspect()
	h.checkAcked()
	h.checkOrder()
	h.checkFences()
	return h.failures
}

// checkSame: P4, the same record at the same offset on every replica and over time.
func (h *History) checkSame() {
	for i, log := range h.logs[1:] {
		if len(log) != len(h.logs[0]) {
			h.fail("P4", "replica %d holds %d records, replica 1 %d", i+2, len(log), len(h.logs[0]))
			continue
		}
		for j := range log {
			if log[j] != h.logs[0][j] {
				h.fail("P4", "replica %d holds %+v where replica 1 holds %+v", i+2, log[j], h.logs[0][j])
				break
			}
		}
	}
	for _, o := range slices.Sorted(maps.Keys(h.observed)) {
		s := h.observed[o]
		if o >= h.start && h.final(o) != s {
			h.fail("P4", "offset %d was read as %+v, the log in the end has %d records", o, s, len(h.logs[0]))
			break
		}
	}
}

// final is the record at an offset not below the log start, as it is in the end, or would be without
// compaction; the zero record where there is none.
func (h *History) final(o record.Offset) seen {
	if h.compacts {
		if int(o) < len(h.whole) {
			return h.whole[o].seen
		}
		return seen{}
	}
	if i := int(o - h.start); i < len(h.logs[0]) {
		return h.logs[0][i]
	}
	return seen{}
}

// checkDense: P4, offsets are unique and dense, epochs never go down.
func (h *History) checkDense(log []seen, start record.Offset) {
	for i, s := range log {
		if s.offset != start+record.Offset(i) {
			h.fail("P4", "record %d of the log has offset %d", i, s.offset)
			return
		}
		if i > 0 && s.epoch < log[i-1].epoch {
			h.fail("P4", "epoch %d at offset %d follows epoch %d", s.epoch, i, log[i-1].epoch)
		}
	}
}

// checkAcked: P1, what was acknowledged with acks all is where the acknowledgement said.
func (h *History) checkAcked() {
	for _, a := range h.acked {
		if !a.all {
			continue
		}
		for i := range a.count {
			o, want := a.base+record.Offset(i), value(a.client, a.first+i)
			if o >= h.start && h.final(o).value != want && !h.mayBeLost(a) {
				h.fail("P1", "%s was acknowledged at offset %d and is not there", want, o)
				return
			}
		}
	}
}

// mayBeLost reports whether an acknowledged batch need not have been durable at a crash.
func (h *History) mayBeLost(a acked) bool {
	for _, crash := range h.crashes {
		if h.flushMs > 0 && crash.Sub(a.at).Milliseconds() <= h.flushMs && !crash.Before(a.sentAt) {
			return true
		}
	}
	return false
}

// checkOrder: P2, the values of a client are in order; P3, none is there twice. A client that had to start a
// new producer epoch because acks 1 lost records may repeat some.
func (h *History) checkOrder() {
	last := map[string]int{}
	have := map[string]bool{}
	for _, s := range h.ordered() {
		client, number, ok := parse(s.value)
		if !ok {
			h.fail("P4", "offset %d holds %q, which nobody sent", s.offset, s.value)
			return
		}
		if id, _ := strconv.Atoi(client[1:]); h.bumped[id] {
			continue
		}
		if have[s.value] {
			h.fail("P3", "%s is there twice, the second time at offset %d", s.value, s.offset)
			have[s.value] = true
			continue
		}
		have[s.value] = true
		if n, ok := last[client]; ok && number < n {
			h.fail("P2", "%s at offset %d follows number %d", s.value, s.offset, n)
		}
		last[client] = number
	}
}

func parse(value string) (client string, number int, ok bool) {
	parts := strings.Split(value, "/")
	if len(parts) != 3 || len(parts[0]) < 2 {
		return "", 0, false
	}
	n, err := strconv.Atoi(parts[1])
	return parts[0], n, err == nil
}

// lostOfAcks1 counts records that were acknowledged with acks 1 and are not in the log.
func (h *History) lostOfAcks1() int {
	have := map[string]bool{}
	for _, s := range h.ordered() {
		have[s.value] = true
	}
	n := 0
	for _, a := range h.acked {
		for i := range a.count {
			if !a.all && a.base+record.Offset(i) >= h.start && !have[value(a.client, a.first+i)] {
				n++
			}
		}
	}
	return n
}
