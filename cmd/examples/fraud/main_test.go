package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

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
	// possible fraud: card 4000-STOLEN, 4 attempts in the 5 minutes from 12:10
	// possible fraud: card 4000-STOLEN, 5 attempts in the 5 minutes from 12:10
	// possible fraud: card 4000-STOLEN, 6 attempts in the 5 minutes from 12:10
	// too late to count: card 4000-0001 at 12:00
}

// Goal: the fourth attempt of a card within a window is reported, and no fourth attempt over two windows;
// what comes within the grace counts, what comes later is told as late. Method: the test driver.
func TestPossibleFraud(t *testing.T) {
	topo, err := PossibleFraud()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo)
	try := func(card string, at time.Duration) {
		topologytest.Send(d, Attempts, "terminal", Attempt{card, 1, start.Add(at)})
	}
	for _, at := range []time.Duration{0, 1, 2} {
		try("thief", at*time.Minute)
		try("saint", (at+3)*time.Minute) // 3 and 4 in the first window, 5 in the second
	}
	topologytest.ExpectNone(d, Fraud)
	try("saint", 5*time.Minute+29*time.Second) // in the second window
	try("thief", 4*time.Minute+59*time.Second) // out of order, within the grace
	topologytest.Expect(d, Fraud, topologytest.P("thief", Suspicion{start, 4}))
	if n, ok := topologytest.StoreWindow(d, PerCard, "thief", start); n != 4 || !ok {
		t.Errorf("%d attempts, %v", n, ok)
	}

	try("saint", 5*time.Minute+30*time.Second) // the first window is over
	try("thief", 4*time.Minute)
	topologytest.ExpectNone(d, Fraud)
	topologytest.Expect(d, Late, topologytest.P("thief", Attempt{"thief", 1, start.Add(4 * time.Minute)}))
}
