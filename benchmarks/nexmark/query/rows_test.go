package query

import (
	"reflect"
	"testing"
	"time"

	"github.com/millstream-io/millstream/benchmarks/nexmark/event"
	"github.com/millstream-io/millstream/state/serde"
)

// Goal: hours have the names that q14 gives them. Method: one time in each hour of a day.
func TestTimeOfDay(t *testing.T) {
	for hour := range 24 {
		want := "nightTime"
		switch {
		case hour == 7 || hour == 19:
			want = "otherTime"
		case hour > 7 && hour < 19:
			want = "dayTime"
		}
		at := time.Date(2015, 7, 15, hour, 59, 59, 0, time.UTC)
		if got := timeOfDay(at.UnixMilli()); got != want {
			t.Errorf("%s is %s, expected %s", at, got, want)
		}
	}
}

// Goal: every row comes back from its bytes, and no bytes make a decoder panic. Method: bytes that decode
// are encoded and decoded again; the seeds are rows.
func FuzzDecode(f *testing.F) {
	rows := []event.Row{
		&Hottest{Bids: 3, Auctions: []int64{1000, 1001}}, &Split{1, 2, 3, "a", "b", "c", "d"}, &Statistic{Bids: 1},
		&Expanded{event.Bid{Auction: 1, Extra: "x"}, event.Auction{ID: 1, Extra: "y"}}, &AuctionDay{-1, 1},
		&Calculated{Auction: 1, When: "dayTime", Extra: "c", Cs: 1},
	}
	for _, r := range rows {
		f.Add(r.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again(t, event.Serde[Hottest](), b)
		again(t, event.Serde[Split](), b)
		again(t, event.Serde[Statistic](), b)
		again(t, event.Serde[Expanded](), b)
		again(t, auctionDays, b)
		again(t, bidderAuctions, b)
		again(t, event.Serde[Calculated](), b)
		again(t, event.Serde[Channelled](), b)
		again(t, event.Serde[Converted](), b)
		again(t, event.Serde[Selected](), b)
	})
}

func again[T any](t *testing.T, s serde.Serde[T], b []byte) {
	v, err := s.Decode(b, serde.Info{})
	if err != nil {
		return
	}
	own, err := s.Append(nil, serde.Info{}, v)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := s.Decode(own, serde.Info{}); err != nil || !reflect.DeepEqual(back, v) {
		t.Errorf("%+v became %+v, %v", v, back, err)
	}
}
