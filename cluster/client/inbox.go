package client

import (
	"github.com/millstream-io/millstream/proto/record"
)

// reading is one partition being read.
type reading struct {
	topic     string
	topicID   record.TopicID
	partition record.Partition
	next      record.Offset // what is fetched next
	asked     record.Offset // next when the Fetch under way was sent
	reset     bool          // next must be looked up again, as OnOutOfRange says
	paused    bool

	left int           // records in the inbox that the application has not taken
	read record.Offset // of the first of them

	done      record.Offset // of a group: before it all is worked off; -1: nothing is known
	committed record.Offset // of a group: the last that was committed; -1: none
	touched   bool          // records were handed out that are not done yet
}

// position is what the application reads next.
func (r *reading) position() record.Offset {
	if r.left > 0 {
		return r.read
	}
	return r.next
}

// inbox holds the records of one answer until the application has taken them. Records of a partition lie
// together.
type inbox struct {
	reader  record.Reader
	records []Record
	spans   []span
	at      int    // taken so far
	free    func() // gives the buffers of the batches back
}

// span is the records of one partition, up to end.
type span struct {
	r       *reading
	end     int
	dropped bool
}

// hold takes an answer's buffers. Call release first.
func (x *inbox) hold(free func()) { x.free = free }

// release gives the buffers back; records that were taken are not valid any longer.
func (x *inbox) release() {
	if x.free != nil {
		x.free()
		x.free = nil
	}
	clear(x.records)
	clear(x.spans)
	x.records, x.spans, x.at = x.records[:0], x.spans[:0], 0
}

// decode adds the records of whole batches from r.next on, and moves it.
func (x *inbox) decode(r *reading, raw []byte) (err error) {
	from := len(x.records)
	for len(raw) > 0 && err == nil {
		var b record.Batch
		var rest []byte
		if b, rest, err = record.Next(raw); err != nil {
			break
		}
		raw = rest
		err = x.batch(r, b)
	}
	if n := len(x.records) - from; n > 0 {
		if r.left == 0 {
			r.read = x.records[from].Offset
		}
		r.left += n
		x.spans = append(x.spans, span{r: r, end: len(x.records)})
	}
	return err
}

func (x *inbox) batch(r *reading, b record.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	if b.LastOffset() < r.next {
		return nil
	}
	if !b.Control() {
		if err := x.add(r, b); err != nil {
			return err
		}
	}
	r.next = b.LastOffset() + 1
	return nil
}

func (x *inbox) add(r *reading, b record.Batch) error {
	if err := x.reader.Open(b, 0); err != nil {
		return err
	}
	var rec record.Record
	for x.reader.Next(&rec) {
		if rec.Offset < r.next {
			continue // the batch begins before what was asked for
		}
		x.records = append(x.records, Record{Topic: r.topic, Partition: r.partition, Offset: rec.Offset,
			TimestampMs: rec.TimestampMs, Key: rec.Key, Value: rec.Value, Headers: rec.Headers})
		r.next = rec.Offset + 1
	}
	return x.reader.Err()
}

// take returns the next record.
func (x *inbox) take() (Record, bool) {
	x.skip()
	if len(x.spans) == 0 {
		return Record{}, false
	}
	rec, r := x.records[x.at], x.spans[0].r
	x.at++
	r.left--
	r.read = rec.Offset + 1
	return rec, true
}

// skip steps over spans that are at their end, or dropped.
func (x *inbox) skip() {
	for len(x.spans) > 0 && (x.spans[0].dropped || x.at == x.spans[0].end) {
		x.at = x.spans[0].end
		x.spans = x.spans[1:]
	}
}

// rest takes all that is left, nil for none.
func (x *inbox) rest() []Record {
	x.skip()
	out := x.records[x.at:x.at]
	for _, s := range x.spans {
		if !s.dropped { // moves records down only where a span before was dropped
			out = append(out, x.records[x.at:s.end]...)
			s.r.left = 0
		}
		x.at = s.end
	}
	x.spans = x.spans[:0]
	if len(out) == 0 {
		return nil
	}
	return out
}

// drop forgets the records of a partition that the application has not taken: they are fetched again.
func (x *inbox) drop(r *reading) {
	r.next = r.position()
	r.left = 0
	for i := range x.spans {
		if x.spans[i].r == r {
			x.spans[i].dropped = true
		}
	}
}
