package event

import (
	"strings"
	"testing"
	"time"
)

// tally is what a stream holds.
type tally struct {
	persons, auctions, bids             int
	q2, q14, q21                        int // bids that those queries keep
	hotAuction, hotBidder, ahead, extra int
	behind                              int // events that come behind the latest time
	sum                                 uint64
}

func count(g Generator, n int64) (t tally) {
	latest := int64(0)
	for i := range n {
		ev := g.At(i)
		if ev.TimeMs < latest {
			t.behind++
		}
		latest = max(latest, ev.TimeMs)
		switch ev.Kind {
		case KindPerson:
			t.persons++
		case KindAuction:
			t.auctions++
		case KindBid:
			t.bid(ev.Bid, g.Base)
		}
	}
	return t
}

func (t *tally) bid(b Bid, base time.Time) {
	t.bids++
	id := (b.TimeMs - base.UnixMilli()) * 10 // at 10,000 a second; the nearest id below
	m := maker{id: id/epoch*epoch + epoch - 1}
	if b.Auction%123 == 0 {
		t.q2++
	}
	if milli := b.Cents * 908; milli > 1_000_000_000 && milli < 50_000_000_000 {
		t.q14++
	}
	if !strings.HasPrefix(b.Channel, "channel-") || strings.Contains(b.URL, "channel_id=") {
		t.q21++
	}
	if b.Auction == m.lastAuction()/hotBatch*hotBatch+FirstAuction {
		t.hotAuction++
	}
	if b.Bidder == m.lastPerson()/hotBatch*hotBatch+1+FirstPerson {
		t.hotBidder++
	}
	if b.Auction > m.lastAuction()+FirstAuction {
		t.ahead++
	}
	t.extra += len(b.Extra)
	t.sum += uint64(b.Auction*31+b.Bidder*17+b.Cents) * uint64(b.TimeMs)
}

// share says how many in a thousand.
func share(part, of int) int { return (part*1000 + of/2) / of }

// Goal: a million events have the figures that Nexmark is known for. Method: count them. The kinds and the
// bids that query 2 keeps follow from the ids and the first draws of a bid, so they are exact; the rest are
// shares.
func TestMillion(t *testing.T) {
	got := count(Defaults(42), 1_000_000)
	if got.persons != 20_000 || got.auctions != 60_000 || got.bids != 920_000 {
		t.Errorf("%d persons, %d auctions, %d bids", got.persons, got.auctions, got.bids)
	}
	if got.q2 != 6935 || got.behind != 0 {
		t.Errorf("query 2 keeps %d bids, %d events are behind", got.q2, got.behind)
	}
	for _, c := range []struct {
		what             string
		got, least, most int
	}{
		{"bids that query 14 keeps, of 1000", share(got.q14, got.bids), 282, 286},
		{"bids that query 21 keeps, of 1000", share(got.q21, got.bids), 947, 953},
		{"bids on the hot auction, of 1000", share(got.hotAuction, got.bids), 502, 507},
		{"bids by the hot bidder, of 1000", share(got.hotBidder, got.bids), 748, 752},
		{"bids on an auction to come, of 1000", share(got.ahead, got.bids), 43, 47},
		{"mean extra bytes of a bid, of 100", got.extra * 100 / got.bids, 6740, 6760},
	} {
		if c.got < c.least || c.got > c.most {
			t.Errorf("%s: %d, expected %d to %d", c.what, c.got, c.least, c.most)
		}
	}
}

// Goal: disorder changes the order alone. Method: the same events with a Group of 1000 have the same sums;
// nearly all come behind a later one, none by more than Disorder.
func TestDisorder(t *testing.T) {
	const n = 100_000
	g := Defaults(42)
	want := count(g, n)
	g.Group = 1000
	got := count(g, n)
	if share(got.behind, n) != 986 {
		t.Errorf("%d of %d events are behind", got.behind, n)
	}
	got.behind = 0
	if got != want {
		t.Errorf("in order %+v, with disorder %+v", want, got)
	}
	latest := int64(0)
	for i := range int64(n) {
		ms := g.At(i).TimeMs
		if latest-ms > g.Disorder().Milliseconds() {
			t.Fatalf("event %d comes %d ms behind, Disorder is %s", i, latest-ms, g.Disorder())
		}
		latest = max(latest, ms)
	}
}

// Goal: an event does not depend on those before it. Method: At backwards, in another part of the stream,
// and with another seed.
func TestAtIsPure(t *testing.T) {
	g, later := Defaults(7), Defaults(7)
	later.First = 500
	var before []Event
	for n := range int64(1000) {
		before = append(before, g.At(n))
	}
	for n := int64(999); n >= 0; n-- {
		if g.At(n) != before[n] {
			t.Fatalf("event %d is another one", n)
		}
		if n >= 500 && later.At(n-500) != before[n] {
			t.Fatalf("event %d is another one in a stream that begins at 500", n)
		}
	}
	if Defaults(8).At(40) == before[40] {
		t.Error("the seed changes nothing")
	}
}

// BenchmarkAt measures one event, without its encoding.
func BenchmarkAt(b *testing.B) {
	g := Defaults(42)
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		g.At(n)
		n++
	}
}
