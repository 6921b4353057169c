package broker

import "github.com/millstream-io/millstream/proto/record"

// EpochEnds implements Port from the views in memory.
func (b *Broker) EpochEnds(_ Who, q []EpochQuery) []EpochAnswer {
	out := make([]EpochAnswer, len(q))
	for i, query := range q {
		out[i].End = EpochEnd{Epoch: record.NoEpoch, End: -1}
		v, _, err := b.view(query.Topic, record.TopicID{}, query.Partition, query.Current)
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i].End.Epoch, out[i].End.End = v.EndOffsetFor(query.Epoch)
	}
	return out
}
