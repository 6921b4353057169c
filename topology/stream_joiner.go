package topology

import (
	"math"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology/join"
	"github.com/millstream-io/millstream/topology/plan"
)

// Flags of a buffered record, the first byte of its row.
const (
	flagMet     = 0 // it has met somebody, or does not wait for anybody
	flagWaiting = 1 // a left record that has met nobody yet; the index has it too
)

// noTime is later than any record, and far from the end of the numbers.
const noTime = math.MaxInt64 / 2

var errEmptyRow = fault.New(fault.CorruptRecord, "row of a join is empty")

// buffer is one side of a join of streams: the records that can still meet somebody.
type buffer[K, V any] struct {
	rows   *rowsOf[K, V]
	side   join.Side
	layout join.Layout
	late   flow[K, V]

	row     []byte // a row key
	value   []byte // a row
	lo, hi  []byte // bounds of a range
	rec     Record[K, V]
	expired int64 // the first segment that has not expired
	number  uint32
	failed  error // within a walk

	visitLast, visitExpired func(key, row []byte) bool
}

func newBuffer[K, V any](rows *rowsOf[K, V], side join.Side, late flow[K, V]) *buffer[K, V] {
	b := &buffer[K, V]{rows: rows, side: side, layout: join.LayoutFor(side.Retention()), late: late}
	b.visitLast, b.visitExpired = b.noteLast, b.expireRow
	return b
}

// place makes row the row key of a new record, and returns its number among those with the same key and time.
func (b *buffer[K, V]) place(key []byte, ms int64) (number uint32, err error) {
	b.row = b.layout.AppendKey(b.row[:0], key, ms, 0)
	_, taken, err := b.rows.Get(b.row)
	if err != nil || !taken {
		return 0, b.rows.wrap("read", err)
	}
	segment := b.layout.Segment(ms)
	b.lo = join.AppendTime(join.AppendPrefix(b.lo[:0], segment, key), ms)
	b.hi = join.AppendTime(join.AppendPrefix(b.hi[:0], segment, key), ms+1)
	b.failed = nil
	if err := b.rows.Range(b.lo, b.hi, true, b.visitLast); err != nil {
		return 0, b.rows.wrap("walk", err)
	}
	b.row = b.layout.AppendKey(b.row[:0], key, ms, b.number+1)
	return b.number + 1, b.failed
}

func (b *buffer[K, V]) noteLast(key, _ []byte) bool {
	_, b.number, b.failed = join.SplitKey(key)
	return false
}

// keep stores a value under row.
func (b *buffer[K, V]) keep(flag byte, v V) error {
	value, err := b.rows.serde.Append(append(b.value[:0], flag), b.rows.valueInfo, v)
	if err != nil {
		return encodeError{err}
	}
	b.value = value
	return b.rows.wrap("write", b.rows.Put(b.row, value))
}

// read makes rec the record of a row with key k at time ms.
func (b *buffer[K, V]) read(k K, ms int64, row []byte) error {
	b.rec = Record[K, V]{Key: k, Meta: Meta{Time: time.UnixMilli(ms), Offset: -1}}
	if len(row) == 0 {
		return b.rows.wrap("decode a row of", errEmptyRow)
	}
	var err error
	b.rec.Value, err = b.rows.serde.Decode(row[1:], b.rows.valueInfo)
	return b.rows.wrap("decode a row of", err)
}

// find visits the records of a key that a record of the other side at time ms can meet, segment by segment.
func (b *buffer[K, V]) find(key []byte, of join.Side, ms int64, visit func(key, row []byte) bool) error {
	from, to := max(ms-of.Before, 0), ms+of.After
	if to < from {
		return nil
	}
	b.failed = nil
	for segment := b.layout.Segment(from); segment <= b.layout.Segment(to); segment++ {
		b.lo = join.AppendTime(join.AppendPrefix(b.lo[:0], segment, key), from)
		b.hi = join.AppendTime(join.AppendPrefix(b.hi[:0], segment, key), to+1)
		if err := b.rows.Range(b.lo, b.hi, false, visit); err != nil {
			return b.rows.wrap("walk", err)
		}
		if b.failed != nil {
			return b.failed
		}
	}
	return nil
}

// expire removes segments whose records are all over.
func (b *buffer[K, V]) expire(streamTime int64) error {
	dead := b.layout.Dead(b.side.LastOver(streamTime))
	if dead <= b.expired {
		return nil
	}
	b.lo = join.AppendSegment(b.lo[:0], b.expired)
	b.hi = join.AppendSegment(b.hi[:0], dead)
	b.failed = nil
	if err := b.rows.Range(b.lo, b.hi, false, b.visitExpired); err != nil {
		return b.rows.wrap("walk", err)
	}
	if b.failed == nil {
		b.expired = dead
	}
	return b.failed
}

func (b *buffer[K, V]) expireRow(key, _ []byte) bool {
	b.failed = b.rows.remove(key)
	return b.failed == nil
}

// streamJoiner is a join of streams as one task runs it.
type streamJoiner[K, L, R, O any] struct {
	in    *instance
	node  *plan.Node
	how   streamJoin[K, L, R, O]
	left  *buffer[K, L]
	right *buffer[K, R]
	out   Record[K, O]
	next  flow[K, O]

	// The record that is being joined, and how far.
	key     []byte
	meta    *Meta
	newL    *Record[K, L]
	newR    *Record[K, R]
	met     bool
	refused bool

	waiting               int64 // no left record before this time waits for a partner
	nobody                Record[K, R]
	visitRight, visitLeft func(key, row []byte) bool
	visitIndex, visitNext func(key, row []byte) bool
}

func (j *streamJoiner[K, L, R, O]) start() {
	j.visitRight, j.visitLeft = j.meetRight, j.meetLeft
	j.visitIndex, j.visitNext = j.giveUpRow, j.noteNext
	j.in.timers, j.in.resets = append(j.in.timers, j.advance), append(j.in.resets, j.reset)
}

// reset forgets how far rows have been given out and removed: the next walks find out.
func (j *streamJoiner[K, L, R, O]) reset() error {
	j.waiting, j.left.expired, j.right.expired = 0, 0, 0
	return nil
}

// prepare checks a record of either side and finds its row key. ok is false where it goes no further.
func prepare[K, V, L, R, O any](
	j *streamJoiner[K, L, R, O], b *buffer[K, V], r *Record[K, V],
) (ok bool, err error) {
	switch {
	case r.NullValue:
		return false, j.in.skip(j.node, whyNullValue)
	case r.NullKey:
		return false, j.in.skip(j.node, whyNullKey)
	case r.Time.UnixMilli() < 0:
		return false, j.in.skip(j.node, whyOldTime)
	case b.side.Over(r.Time.UnixMilli(), j.in.streamMs()):
		j.in.rt.CountLate(j.node)
		return false, b.late(r)
	}
	if j.key, err = b.rows.keyOf(r.Key); err != nil {
		return false, j.in.stopped(j.node, err)
	}
	if j.key == nil {
		return false, j.in.skip(j.node, whyNullKey)
	}
	if b.rows.value.isNull != nil && b.rows.value.isNull(r.Value) {
		return false, j.in.skip(j.node, whyNullValue)
	}
	j.meta, j.met, j.refused = &r.Meta, false, false
	return true, nil
}

func (j *streamJoiner[K, L, R, O]) takeLeft(l *Record[K, L]) error {
	if j.how.left && l.NullKey && !l.NullValue {
		j.nobody = Record[K, R]{Key: l.Key, NullKey: true, Meta: Meta{Offset: -1}}
		return j.result(l, &j.nobody, false, &l.Meta)
	}
	ok, err := prepare(j, j.left, l)
	if err != nil || !ok {
		return err
	}
	ms := l.Time.UnixMilli()
	j.newL, j.newR = l, nil
	if err := j.right.find(j.key, j.left.side, ms, j.visitRight); err != nil || j.refused {
		return err
	}
	number, err := j.left.place(j.key, ms)
	if err != nil {
		return err
	}
	flag := byte(flagMet)
	if j.how.left && !j.met {
		flag = flagWaiting
	}
	if err := j.left.keep(flag, l.Value); err != nil || flag == flagMet {
		return j.stopped(err)
	}
	j.waiting = min(j.waiting, ms)
	j.left.row = join.AppendIndex(j.left.row[:0], j.key, ms, number)
	return j.left.rows.wrap("write", j.left.rows.Put(j.left.row, []byte{}))
}

func (j *streamJoiner[K, L, R, O]) takeRight(r *Record[K, R]) error {
	ok, err := prepare(j, j.right, r)
	if err != nil || !ok {
		return err
	}
	ms := r.Time.UnixMilli()
	j.newL, j.newR = nil, r
	if err := j.left.find(j.key, j.right.side, ms, j.visitLeft); err != nil || j.refused {
		return err
	}
	if _, err := j.right.place(j.key, ms); err != nil {
		return err
	}
	return j.stopped(j.right.keep(flagMet, r.Value))
}

func (j *streamJoiner[K, L, R, O]) stopped(err error) error {
	if err == nil {
		return nil
	}
	return j.in.stopped(j.node, err)
}

// meetRight joins the left record that came with a right one that was there.
func (j *streamJoiner[K, L, R, O]) meetRight(rowKey, row []byte) bool {
	ms, _, err := join.SplitKey(rowKey)
	if err == nil {
		if j.right.side.Over(ms, j.in.streamMs()) {
			return true
		}
		if err = j.right.read(j.newL.Key, ms, row); err == nil {
			err = j.result(j.newL, &j.right.rec, true, &j.right.rec.Meta)
		}
	}
	j.met, j.right.failed = true, err
	return err == nil && !j.refused
}

// meetLeft joins the right record that came with a left one that was there, which need not wait any more.
func (j *streamJoiner[K, L, R, O]) meetLeft(rowKey, row []byte) bool {
	j.left.failed = j.meetOneLeft(rowKey, row)
	return j.left.failed == nil && !j.refused
}

func (j *streamJoiner[K, L, R, O]) meetOneLeft(rowKey, row []byte) error {
	b := j.left
	ms, number, err := join.SplitKey(rowKey)
	if err != nil {
		return b.rows.wrap("walk", err)
	}
	if b.side.Over(ms, j.in.streamMs()) {
		return nil
	}
	if err := b.read(j.newR.Key, ms, row); err != nil {
		return err
	}
	if row[0] == flagWaiting {
		b.value = append(b.value[:0], row...)
		b.value[0] = flagMet
		if err := b.rows.Put(rowKey, b.value); err != nil {
			return b.rows.wrap("write", err)
		}
		b.row = join.AppendIndex(b.row[:0], j.key, ms, number)
		if err := b.rows.remove(b.row); err != nil {
			return err
		}
	}
	return j.result(&b.rec, j.newR, true, &b.rec.Meta)
}

// result gives out one pair, or a left record alone. It carries what the record carries that came, and the
// later time; other is the meta of the record that was there.
func (j *streamJoiner[K, L, R, O]) result(l *Record[K, L], r *Record[K, R], ok bool, other *Meta) error {
	v, err := j.how.call(j.in, l, r, ok)
	if err != nil {
		j.refused = true
		return j.in.rt.Refuse(StageProcess, j.node, err)
	}
	j.out = Record[K, O]{Key: l.Key, Value: v, NullKey: l.NullKey, Meta: l.Meta}
	if ok {
		j.out.Meta = *j.meta
		if other.Time.After(j.out.Time) {
			j.out.Time = other.Time
		}
	}
	return j.next(&j.out)
}

// advance gives out left records whose window is over, and removes what has expired.
func (j *streamJoiner[K, L, R, O]) advance(streamTime int64) error {
	if j.how.left && j.left.side.Over(j.waiting, streamTime) {
		if err := j.giveUp(streamTime); err != nil {
			return err
		}
	}
	if err := j.left.expire(streamTime); err != nil {
		return err
	}
	return j.right.expire(streamTime)
}

// giveUp gives out the left records that have met nobody, in the order of their times and of their keys'
// bytes, and finds out which of the others is the next.
func (j *streamJoiner[K, L, R, O]) giveUp(streamTime int64) error {
	b := j.left
	over := b.side.LastOver(streamTime) + 1
	b.lo, b.hi = join.AppendIndexTime(b.lo[:0], 0), join.AppendIndexTime(b.hi[:0], over)
	b.failed = nil
	if err := b.rows.Range(b.lo, b.hi, false, j.visitIndex); err != nil {
		return b.rows.wrap("walk", err)
	}
	if b.failed != nil {
		return b.failed
	}
	j.waiting = noTime
	return b.rows.wrap("walk", b.rows.Range(b.hi, nil, false, j.visitNext))
}

func (j *streamJoiner[K, L, R, O]) noteNext(index, _ []byte) bool {
	if _, ms, _, err := join.SplitIndex(index); err == nil {
		j.waiting = ms
	}
	return false
}

func (j *streamJoiner[K, L, R, O]) giveUpRow(index, _ []byte) bool {
	j.left.failed = j.giveUpOne(index)
	return j.left.failed == nil
}

func (j *streamJoiner[K, L, R, O]) giveUpOne(index []byte) error {
	b := j.left
	key, ms, number, err := join.SplitIndex(index)
	if err != nil {
		return b.rows.wrap("walk", err)
	}
	b.row = b.layout.AppendKey(b.row[:0], key, ms, number)
	row, ok, err := b.rows.Get(b.row)
	if err != nil {
		return b.rows.wrap("read", err)
	}
	if ok {
		k, err := b.rows.keySerde.Decode(key, b.rows.keyInfo)
		if err != nil {
			return b.rows.wrap("decode a key of", err)
		}
		if err := b.read(k, ms, row); err != nil {
			return err
		}
		if err := b.rows.remove(b.row); err != nil {
			return err
		}
	}
	if err := b.rows.remove(index); err != nil || !ok {
		return err
	}
	j.nobody = Record[K, R]{Key: b.rec.Key, Meta: Meta{Offset: -1}}
	return j.result(&b.rec, &j.nobody, false, nil)
}
