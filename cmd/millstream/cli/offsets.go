package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// bounds returns the first and the next offset of every partition of some topics.
func bounds(ctx context.Context, ad *kadm.Client, topics ...string) (starts, ends kadm.ListedOffsets, err error) {
	starts, err = listed(ctx, func() (kadm.ListedOffsets, error) { return ad.ListStartOffsets(ctx, topics...) })
	if err == nil {
		ends, err = listed(ctx, func() (kadm.ListedOffsets, error) { return ad.ListEndOffsets(ctx, topics...) })
	}
	return starts, ends, err
}

// listed asks for offsets until every partition has an answer, or a refusal that will not pass by itself: a
// topic that has just been made has no leader for a moment. The wait is bounded by ctx.
func listed(ctx context.Context, ask func() (kadm.ListedOffsets, error)) (kadm.ListedOffsets, error) {
	for {
		answer, err := ask()
		if err != nil {
			return nil, refused("the offsets could not be read", err, "")
		}
		var bad *kadm.ListedOffset
		answer.Each(func(o kadm.ListedOffset) {
			if o.Err != nil && bad == nil {
				bad = &o
			}
		})
		if bad == nil {
			return answer, nil
		}
		if !kerr.IsRetriable(bad.Err) || bad.Partition < 0 || !waitOr(ctx, 50*time.Millisecond) {
			what := fmt.Sprintf("the offsets of topic %q, partition %d, could not be read", bad.Topic, bad.Partition)
			return nil, refused(what, bad.Err, "")
		}
	}
}
