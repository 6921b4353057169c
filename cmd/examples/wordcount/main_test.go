package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/topology/topologytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program, on a member of its own.
func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// The Adventures of Sherlock Holmes: 105891 words, 7813 different ones
	//   5630 the
	//   3038 i
	//   3018 and
	//   2743 to
	//   2655 of
	//   2643 a
	//   1766 in
	//   1752 that
	//   1734 it
	//   1502 you
}

// Goal: every word is counted, whatever its letters and its partition, and a count outlives its disk. Method:
// the test driver on three partitions, with everything on disk lost between two lines.
func TestWordCount(t *testing.T) {
	topo, err := WordCount()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo, topologytest.Partitions(3))
	topologytest.Send(d, Lines, "1", "The cat, the dog")
	topologytest.Expect(d, Counts, topologytest.P("the", int64(1)), topologytest.P("cat", int64(1)),
		topologytest.P("the", int64(2)), topologytest.P("dog", int64(1)))
	d.Stop()
	d.LoseState()
	topologytest.Send(d, Lines, "2", "THE END")
	topologytest.Expect(d, Counts, topologytest.P("the", int64(3)), topologytest.P("end", int64(1)))
	if n, ok := topologytest.Store(d, PerWord, "dog"); n != 1 || !ok {
		t.Errorf("dog: %d, %v", n, ok)
	}
}
