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
	// from              network reports  strongest (those of 4.0 and more)
	// 2018-01-30 12:00  us            4  5.3 84km SSE of Panguna, Papua New Guinea
	// 2018-01-31 00:00  us            9  5.7 55km SE of Pedasi, Panama
	// 2018-01-31 12:00  us           12  5.7 55km SE of Pedasi, Panama
	// 2018-02-01 00:00  us           14  6.0 272km SSE of Sigave, Wallis and Futuna
	// 2018-02-01 12:00  us           14  4.9 54km NNW of Dobo, Indonesia
	// 2018-02-02 00:00  us           15  5.1 28km WSW of Dadali, Solomon Islands
	// 2018-02-02 12:00  us           16  5.1 28km WSW of Dadali, Solomon Islands
	// 2018-02-03 00:00  nc           36  4.3 103km WNW of Ferndale, CA
	// 2018-02-03 00:00  us           16  5.2 101km ENE of Visokoi Island, South Georgia and the South Sandwich Islands
	// 2018-02-03 12:00  us           17  5.2 101km ENE of Visokoi Island, South Georgia and the South Sandwich Islands
	// 2018-02-04 00:00  us           20  5.2 219km NE of Nord, Greenland
	// 2018-02-04 12:00  us           18  5.2 219km NE of Nord, Greenland
	// 2018-02-05 00:00  ak           53  4.0 259km ESE of Kodiak, Alaska
	// 2018-02-05 00:00  us           22  5.3 200km W of Chichi-shima, Japan
	// 2018-02-05 12:00  ak           54  4.0 259km ESE of Kodiak, Alaska
	// 2018-02-05 12:00  us           22  5.3 200km W of Chichi-shima, Japan
	// 514 reports came too late for a window, the first one 13h2m48s after the earthquake 10km NE of Aguanga, CA
}

// window names one window of a network.
type window struct {
	network string
	start   time.Time
}

// evaluate is the topology in a plain loop: the windows that are over at the end, and how many reports missed
// one.
func evaluate() (over map[window]Strongest, late int) {
	all := map[window]Strongest{}
	var streamTime time.Time
	for network, e := range reports {
		if e.Time.After(streamTime) {
			streamTime = e.Time
		}
		missed := 0
		for back := range time.Duration(day / every) {
			w := window{network, e.Time.Truncate(every).Add(-back * every)}
			if !streamTime.Before(w.start.Add(day + grace)) {
				missed = 1
				continue
			}
			all[w] = stronger(network, e, all[w])
		}
		late += missed
	}
	over = map[window]Strongest{}
	for w, s := range all {
		if !streamTime.Before(w.start.Add(day + grace)) {
			over[w] = s
		}
	}
	return over, late
}

// Goal: each window comes once, with what a plain loop over the same reports says, though the task loses its
// disk several times; late reports are all told. Method: the test driver on the whole week, with the disk
// lost behind a commit.
func TestStrongestPerDay(t *testing.T) {
	topo, err := StrongestPerDay()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo)
	sent := 0
	for network, e := range reports {
		topologytest.SendRecord(d, Reports, topology.Record[string, records.Earthquake]{Key: network, Value: e})
		if sent++; sent%400 == 0 {
			d.Advance(time.Minute) // a commit
			d.LoseState()
		}
	}
	want, late := evaluate()
	got := map[window]Strongest{}
	for _, r := range topologytest.Read(d, Results) {
		w := window{r.Key.Key, r.Key.Start.UTC()}
		if _, twice := got[w]; twice {
			t.Errorf("%v comes twice", w)
		}
		if got[w] = r.Value; want[w] != r.Value {
			t.Errorf("%v: %v, want %v", w, r.Value, want[w])
		}
	}
	if len(got) != len(want) || len(want) != results {
		t.Errorf("%d windows, want %d; the program says %d", len(got), len(want), results)
	}
	if n := len(topologytest.Read(d, Late)); n != late || n != lateReports {
		t.Errorf("%d late reports, want %d; the program says %d", n, late, lateReports)
	}
}
