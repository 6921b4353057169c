package client

import (
	"context"
	"iter"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology"
)

// Source is what records are read from.
type Source interface {
	// Poll waits for records and returns them, valid until the next call.
	Poll(ctx context.Context) ([]Record, error)

	take(ctx context.Context) (Record, error)
}

// Typed is a record with its key and value decoded. The bytes of Record are valid until the next one; Key and
// Value are the application's.
type Typed[K, V any] struct {
	Key    K
	Value  V
	Record Record
}

// Records reads typed records one by one, for ever: it waits for more, and ends when ctx ends, the client or
// the source is closed, or the loop is left. The source must read no other topic.
//
//	for rec, err := range client.Records(ctx, consumer, orders) { … }
//
// A record counts as read when the loop gets it, so leaving the loop loses nothing: Poll or another loop goes on
// behind it. An error that is about one record or one partition does not end the loop: a record that cannot be
// decoded comes with fault.InvalidRecord and its bytes; a refused partition as a *PartitionError, again and
// again unless something is done about it.
func Records[K, V any](ctx context.Context, from Source, t topology.Topic[K, V]) iter.Seq2[Typed[K, V], error] {
	return func(yield func(Typed[K, V], error) bool) {
		for {
			r, err := from.take(ctx)
			typed := Typed[K, V]{Record: r}
			over := err != nil && (ctx.Err() != nil || fault.CodeOf(err) == fault.Closing)
			switch {
			case err != nil:
			case r.Topic != t.Name:
				err = fault.New(fault.InvalidRequest, "a record of topic %q in a loop over topic %q", r.Topic, t.Name).
					WithHint("give each topic a consumer of its own, or use Poll and Decode")
			default:
				typed.Key, typed.Value, err = Decode(t, r)
			}
			if !yield(typed, err) || over {
				return
			}
		}
	}
}
