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
	// accounts
	//   partition 0  key a-1006  ada has 700.00
	//   partition 1  key a-1001  ada has 125.00
	//   partition 2  key a-1003  ada has 9.50
	//   partition 2  key a-1004  edsger has 12.00
	//   partition 3  key a-1002  grace has 80.00
	//   partition 3  key a-1005  grace has 1.00
	// accounts-by-customer
	//   partition 1  key ada     ada has 9.50
	//   partition 1  key ada     ada has 125.00
	//   partition 1  key ada     ada has 700.00
	//   partition 2  key edsger  edsger has 12.00
	//   partition 2  key grace   grace has 1.00
	//   partition 2  key grace   grace has 80.00
}

// Goal: accounts come out under their customer, whole, and those of one customer in one partition. Method:
// the test driver on four partitions.
func TestRekey(t *testing.T) {
	topo, err := Rekey()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo, topologytest.Partitions(partitions))
	for _, a := range accounts {
		topologytest.Send(d, Accounts, a.Key, a.Value)
	}
	place := map[string]int32{}
	for i, r := range topologytest.Read(d, AccountsByCustomer) {
		if r.Key != r.Value.Customer {
			t.Errorf("%v under %s", r.Value, r.Key)
		}
		if p, ok := place[r.Key]; ok && p != int32(r.Partition) {
			t.Errorf("record %d: %s is in partitions %d and %d", i, r.Key, p, r.Partition)
		}
		place[r.Key] = int32(r.Partition)
	}
	if len(place) != 3 {
		t.Errorf("customers %v", place)
	}
}
