package query

import (
	"slices"
	"time"

	"github.com/millstream-io/millstream/benchmarks/nexmark/event"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// What the queries that keep state write. Those of windows have the start of the window as key, in
// milliseconds.
var (
	OutQ5  = topology.NewTopic("q5-hot-items", serde.Int64, event.Serde[Hottest]())
	OutQ7  = topology.NewTopic("q7-highest-bid", serde.Int64, event.BidSerde)
	OutQ17 = topology.NewTopic("q17-statistics", auctionDays, event.Serde[Statistic]())
	OutQ18 = topology.NewTopic("q18-last-bid", bidderAuctions, event.BidSerde)
	OutQ20 = topology.NewTopic("q20-expanded", serde.Int64, event.Serde[Expanded]())
)

// The stores. That of q5's second step has a row for every window there ever was.
var (
	Counts       = topology.WindowKV("bids-per-auction", serde.Int64, serde.Int64)
	HottestStore = topology.KV("hottest", serde.Int64, event.Serde[Hottest]())
	Highest      = topology.WindowKV("highest", serde.Int64, event.BidSerde)
	Statistical  = topology.KV("statistics", auctionDays, event.Serde[Statistic]())
	Last         = topology.KV("last", bidderAuctions, event.BidSerde)
)

var (
	auctionDays    = event.Serde[AuctionDay]()
	bidderAuctions = event.Serde[BidderAuction]()
)

// HotItems is q5: bids are counted by auction and window, and when a window is over the auctions with the
// most are gathered.
func HotItems(s Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q5")
	windows := topology.Hopping(s.Window, s.Advance).Grace(s.Grace)
	counts := topology.CountWindowed(topology.From(b, Bids).GroupByKey(), windows, Counts, topology.EmitFinal())
	byWindow := topology.Map(counts.ToStream(), func(w topology.Windowed[int64], n int64) (int64, Hottest) {
		return w.Start.UnixMilli(), Hottest{Bids: n, Auctions: []int64{w.Key}}
	}).WithSerdes(serde.Int64, event.Serde[Hottest]())
	byWindow.GroupByKey().Reduce(Hottest.with, HottestStore).ToStream().To(OutQ5)
	return b.Build()
}

// with is whoever has more bids, or all auctions of both in order.
func (h Hottest) with(other Hottest) Hottest {
	switch {
	case h.Bids > other.Bids:
		return h
	case h.Bids < other.Bids:
		return other
	}
	all := slices.Concat(h.Auctions, other.Auctions)
	slices.Sort(all)
	return Hottest{Bids: h.Bids, Auctions: slices.Compact(all)}
}

// HighestBid is q7. Of several with the highest price it is the first, and of those the one of the lowest
// bidder, then of the lowest auction.
func HighestBid(s Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q7")
	all := topology.GroupBy(topology.From(b, Bids), serde.Int64, func(int64, event.Bid) int64 { return 0 })
	windows := topology.Tumbling(s.Window).Grace(s.Grace)
	highest := topology.ReduceWindowed(all, windows, higher, Highest)
	topology.Map(highest.ToStream(), func(w topology.Windowed[int64], b event.Bid) (int64, event.Bid) {
		return w.Start.UnixMilli(), b
	}).To(OutQ7)
	return b.Build()
}

func higher(a, b event.Bid) event.Bid {
	switch {
	case a.Cents != b.Cents:
		return either(a, b, a.Cents > b.Cents)
	case a.TimeMs != b.TimeMs:
		return either(a, b, a.TimeMs < b.TimeMs)
	case a.Bidder != b.Bidder:
		return either(a, b, a.Bidder < b.Bidder)
	}
	return either(a, b, a.Auction <= b.Auction)
}

func either(a, b event.Bid, first bool) event.Bid {
	if first {
		return a
	}
	return b
}

// Statistics is q17.
func Statistics(Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q17")
	byDay := topology.GroupBy(topology.From(b, Bids), auctionDays, func(_ int64, b event.Bid) AuctionDay {
		return AuctionDay{b.Auction, b.TimeMs / (24 * time.Hour).Milliseconds()}
	})
	begin := func() Statistic { return Statistic{} }
	add := func(_ AuctionDay, b event.Bid, s Statistic) Statistic { return s.with(b.Cents) }
	topology.Aggregate(byDay, begin, add, Statistical).ToStream().To(OutQ17)
	return b.Build()
}

// with brings in the price of one bid.
func (s Statistic) with(cents int64) Statistic {
	if s.Bids == 0 {
		s.Least, s.Most = cents, cents
	}
	s.Bids++
	switch {
	case cents < 10_000:
		s.Low++
	case cents < 1_000_000:
		s.Middle++
	default:
		s.High++
	}
	s.Least, s.Most, s.Sum = min(s.Least, cents), max(s.Most, cents), s.Sum+cents
	return s
}

// LastBid is q18. Of several bids at the same time it is the highest, and of those the one whose extra text
// comes last.
func LastBid(Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q18")
	pairs := topology.GroupBy(topology.From(b, Bids), bidderAuctions, func(_ int64, b event.Bid) BidderAuction {
		return BidderAuction{b.Bidder, b.Auction}
	})
	pairs.Reduce(later, Last).ToStream().To(OutQ18)
	return b.Build()
}

func later(a, b event.Bid) event.Bid {
	switch {
	case a.TimeMs != b.TimeMs:
		return either(a, b, a.TimeMs > b.TimeMs)
	case a.Cents != b.Cents:
		return either(a, b, a.Cents > b.Cents)
	}
	return either(a, b, a.Extra >= b.Extra)
}

// category is the one that q20 asks for.
const category = 10

// Expand is q20: bids meet auctions that begin up to Apart before them, or after them, because one bids on
// auctions to come.
func Expand(s Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q20")
	auctions := topology.From(b, Auctions).
		Filter(func(_ int64, a event.Auction) bool { return a.Category == category })
	apart := topology.Within(s.Apart).Grace(s.Grace)
	topology.JoinStream(topology.From(b, Bids), auctions, apart, "expand", func(b event.Bid, a event.Auction) Expanded {
		return Expanded{b, a}
	}).To(OutQ20)
	return b.Build()
}
