package cli

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// fetchWait is how long a member waits for records before it answers that there are none.
const fetchWait = 500 * time.Millisecond

// quietRounds is how often in a row a member must have waited in vain until a reader believes that it has nothing.
const quietRounds = 2

// quiet hears from the client library how often in a row each member has waited in vain. A member answers at once
// where it has a batch or a refusal, so an answer that took its time had neither.
type quiet struct {
	mu     sync.Mutex
	inVain map[int32]int
}

func newQuiet() *quiet { return &quiet{inVain: map[int32]int{}} }

// OnBrokerRead is called by the client library for each answer.
func (q *quiet) OnBrokerRead(m kgo.BrokerMetadata, key int16, _ int, wait, read time.Duration, err error) {
	const keyFetch = 1
	if key == keyFetch && err == nil && wait+read >= fetchWait*4/5 {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.inVain[m.NodeID]++
	}
}

// OnFetchBatchRead is called by the client library for each batch, before its records can be polled.
func (q *quiet) OnFetchBatchRead(m kgo.BrokerMetadata, _ string, _ int32, _ kgo.FetchBatchMetrics) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inVain[m.NodeID] = 0
}

// rounds is how often in a row a member has waited in vain.
func (q *quiet) rounds(node int32) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inVain[node]
}
