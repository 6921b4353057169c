package remote

import (
	"testing"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"

	"github.com/millstream-io/millstream/cluster/client"
)

// saying is a Fetch stream on which nothing comes. It adds up the credit that it is given.
type saying struct {
	apiv1.Records_FetchClient
	credit int
	adds   int
}

func (s *saying) Send(m *apiv1.FetchRequest) error {
	s.credit += int(m.GetCreditBytes())
	if m.GetAdd() != nil {
		s.adds++
	}
	return nil
}

// Goal: no credit of a stream is lost, whenever a Fetch ends: else the member falls silent in the end. Method: seeks that
// drop what was read ahead, and a Fetch each that is over at once, on a stream on which nothing comes; what was dropped is
// given back or owed still.
func TestNoCreditIsLost(t *testing.T) {
	s := &saying{}
	tp := client.TopicPartition{Topic: "t"}
	r := &reader{signal: make(chan struct{}, 1), parts: map[client.TopicPartition]*ahead{}}
	r.s = &fetchStream{Records_FetchClient: s, end: func() {}, window: 1000}
	dropped := 0
	for i := range 10 {
		size := 100 * i
		r.parts[tp] = &ahead{at: 5, queue: []*apiv1.FetchedBatches{{Size: uint64(size), Data: &apiv1.Batches{}}}}
		dropped += size
		q := client.FetchRequest{
			Partitions: []client.FetchPartition{{Topic: "t", From: 9, MaxBytes: 1000}}, MinBytes: 1, MaxBytes: 1000,
		}
		if _, err := r.Fetch(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if s.credit+r.owed != dropped || r.owed >= 1000/4 || s.adds != i+1 {
			t.Fatalf("of %d bytes %d are given back and %d owed; moved %d times", dropped, s.credit, r.owed, s.adds)
		}
	}
}
