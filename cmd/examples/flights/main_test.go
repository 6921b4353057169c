package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/cmd/examples/records"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program, on a member of its own.
func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// days on which ten or more flights were 45 minutes late in the mean:
	//   2001-02-24  Dallas-Fort Worth, TX 17 flights, 78 minutes
	//   2001-02-25  Chicago, IL           12 flights, 51 minutes
	//   2001-02-27  Dallas-Fort Worth, TX 15 flights, 89 minutes
	//   2001-03-08  Phoenix, AZ           10 flights, 63 minutes
	//   2001-03-12  Chicago, IL           16 flights, 46 minutes
	//   2001-03-14  Dallas-Fort Worth, TX 13 flights, 52 minutes
	//   2001-03-15  Chicago, IL           15 flights, 48 minutes
	//   2001-03-15  Dallas-Fort Worth, TX 11 flights, 57 minutes
	//   2001-03-16  Chicago, IL           15 flights, 53 minutes
	// landed too late to count:
	//   2001-01-04 21:22  DCA to CMH, 261 minutes
	//   2001-02-05 23:57  PVD to EWR, 390 minutes
	//   2001-02-11 22:26  CLT to LAX, 221 minutes
	//   2001-02-26 23:15  ORD to MKE, 140 minutes
	//   2001-03-02 23:05  DFW to SDF, 163 minutes
	//   2001-03-15 22:48  DFW to FLL, 205 minutes
	//   2001-03-20 22:59  CLT to SFO, 205 minutes
	//   2001-03-29 23:05  PHX to LAS, 155 minutes
}

// cityDay names one day of a city.
type cityDay struct {
	city  string
	start time.Time
}

// evaluate is the topology in a plain loop: the bad days among those that are over, and the number of late
// flights.
func evaluate() (bad map[cityDay]Delays, late int) {
	airports := map[string]records.Airport{}
	for a := range records.Airports() {
		airports[a.Code] = a
	}
	all := map[cityDay]Delays{}
	var streamTime time.Time
	for f := range records.Flights() {
		if f.Scheduled.After(streamTime) {
			streamTime = f.Scheduled
		}
		a := airports[f.Origin]
		k := cityDay{a.City + ", " + a.State, f.Scheduled.Truncate(day)}
		if !streamTime.Before(k.start.Add(day + time.Hour)) {
			late++
			continue
		}
		all[k] = Delays{all[k].Flights + 1, all[k].Minutes + f.Delay}
	}
	bad = map[cityDay]Delays{}
	for k, d := range all {
		if !streamTime.Before(k.start.Add(day+time.Hour)) && d.Flights >= 10 && d.Mean() >= 45 {
			bad[k] = d
		}
	}
	return bad, late
}

// Goal: bad days and late flights are those of a plain loop over the same flights, though the tasks crash in
// the middle. Method: the test driver on all flights, in batches, with a commit behind each and a crash
// behind each fifth. (A crash between commits could count flights twice: at least once is what is promised.)
func TestWorstDays(t *testing.T) {
	topo, err := WorstDays()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo)
	for a := range records.Airports() {
		topologytest.Send(d, Airports, a.Code, a)
	}
	var batch []topology.Record[string, records.Flight]
	n := 0
	for f := range records.Flights() {
		batch = append(batch, topology.Record[string, records.Flight]{Key: f.Origin, Value: f})
		if len(batch) < 500 {
			continue
		}
		topologytest.SendBatch(d, Flights, batch...)
		d.Advance(time.Minute) // a commit
		if batch, n = batch[:0], n+1; n%5 == 0 {
			d.Crash()
		}
	}
	want, late := evaluate()
	got := map[cityDay]Delays{}
	for _, r := range topologytest.Read(d, BadDays) {
		k := cityDay{r.Key.Key, r.Key.Start.UTC()}
		if got[k] = r.Value; want[k] != r.Value {
			t.Errorf("%v: %v, want %v", k, r.Value, want[k])
		}
	}
	if len(got) != len(want) || len(want) != badDays {
		t.Errorf("%d bad days, want %d; the program says %d", len(got), len(want), badDays)
	}
	if n := len(topologytest.Read(d, Late)); n != late || n != lateFlights {
		t.Errorf("%d late flights, want %d; the program says %d", n, late, lateFlights)
	}
}
