package producer

import "github.com/millstream-io/millstream/proto/record"

// Active is what is known of a producer that has written, or was fenced, and is not forgotten. Last is the
// sequence of its last record, record.NoSequence where it has written nothing in its epoch. LastMs is the log time of its last
// append or fence, in ms since 1970.
type Active struct {
	ID     record.ProducerID
	Epoch  record.ProducerEpoch
	Last   record.Sequence
	LastMs int64
}

// Active lists the producers with committed batches or fences that are not expired at nowMs, ascending by id: at most
// MaxProducers, and those of one append more.
func (s *State) Active(nowMs int64) []Active {
	list := make([]Active, 0, len(s.applied))
	for _, id := range s.ids() {
		if p := s.applied[id]; nowMs-p.lastMs <= ExpiryMs {
			a := Active{ID: id, Epoch: p.epoch, Last: record.NoSequence, LastMs: p.lastMs}
			if p.n > 0 {
				a.Last = p.window[p.n-1].Last
			}
			list = append(list, a)
		}
	}
	return list
}
