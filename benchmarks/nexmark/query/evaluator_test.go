package query

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/millstream-io/millstream/benchmarks/nexmark/event"
)

// line is one record that a query writes.
type line struct{ key, value any }

// evaluators say what each query has written in the end: all its records, or for one that writes a table
// the last of each key. They see all events at once and share nothing with the topologies but the types of
// the rows.
var evaluators = map[string]func(events []event.Event, s Settings) []line{
	"q0": eachBid(func(b event.Bid) (any, bool) { return b, true }),
	"q1": eachBid(func(b event.Bid) (any, bool) {
		return Converted{
			Auction: b.Auction, Bidder: b.Bidder, MilliCents: 908 * b.Cents, TimeMs: b.TimeMs, Extra: b.Extra,
		}, true
	}),
	"q2": eachBid(func(b event.Bid) (any, bool) {
		return Selected{Auction: b.Auction, Cents: b.Cents}, b.Auction/123*123 == b.Auction
	}),
	"q5":  hotItems,
	"q7":  highestBids,
	"q14": eachBid(calculated),
	"q17": statistics,
	"q18": lastBids,
	"q20": expanded,
	"q21": eachBid(channelled),
	"q22": eachBid(func(b event.Bid) (any, bool) {
		dirs := strings.Split(b.URL, "/")
		return Split{b.Auction, b.Bidder, b.Cents, b.Channel, dirs[3], dirs[4], dirs[5]}, true
	}),
}

func eachBid(f func(event.Bid) (any, bool)) func([]event.Event, Settings) []line {
	return func(events []event.Event, _ Settings) (lines []line) {
		for _, b := range bidsOf(events) {
			if v, ok := f(b); ok {
				lines = append(lines, line{b.Auction, v})
			}
		}
		return lines
	}
}

func bidsOf(events []event.Event) (bids []event.Bid) {
	for _, ev := range events {
		if ev.Kind == event.KindBid {
			bids = append(bids, ev.Bid)
		}
	}
	return bids
}

func calculated(b event.Bid) (any, bool) {
	when := "otherTime"
	switch hour := time.UnixMilli(b.TimeMs).UTC().Hour(); {
	case slices.Contains([]int{8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}, hour):
		when = "dayTime"
	case hour != 7 && hour != 19:
		when = "nightTime"
	}
	euros := float64(b.Cents) * 0.908
	return Calculated{
		Auction: b.Auction, Bidder: b.Bidder, MilliCents: 908 * b.Cents, When: when, TimeMs: b.TimeMs, Extra: b.Extra,
		Cs: int64(len(b.Extra) - len(strings.ReplaceAll(b.Extra, "c", ""))),
	}, euros > 1e6 && euros < 5e7
}

var channelPattern = regexp.MustCompile(`(&|^)channel_id=([^&]*)`)

func channelled(b event.Bid) (any, bool) {
	hot := map[string]string{"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}
	id, known := hot[strings.ToLower(b.Channel)]
	if found := channelPattern.FindStringSubmatch(b.URL); !known && found != nil {
		id, known = found[2], true
	}
	return Channelled{b.Auction, b.Bidder, b.Cents, b.Channel, id}, known
}

// grouped gathers bids; each may be in several groups.
func grouped[K cmp.Ordered](events []event.Event, keys func(event.Bid) []K) map[K][]event.Bid {
	groups := map[K][]event.Bid{}
	for _, b := range bidsOf(events) {
		for _, k := range keys(b) {
			groups[k] = append(groups[k], b)
		}
	}
	return groups
}

// windowsOf finds the starts of the windows that hold a bid.
func windowsOf(size, advance time.Duration) func(event.Bid) []int64 {
	return func(b event.Bid) (starts []int64) {
		for start := b.TimeMs - size.Milliseconds() + 1; start <= b.TimeMs; start++ {
			if start%advance.Milliseconds() == 0 {
				starts = append(starts, start)
				start += advance.Milliseconds() - 1
			}
		}
		return starts
	}
}

func hotItems(events []event.Event, s Settings) (lines []line) {
	for start, bids := range grouped(events, windowsOf(s.Window, s.Advance)) {
		counts := map[int64]int64{}
		for _, b := range bids {
			counts[b.Auction]++
		}
		hot := Hottest{}
		for auction, n := range counts {
			if n > hot.Bids {
				hot = Hottest{Bids: n}
			}
			if n == hot.Bids {
				hot.Auctions = append(hot.Auctions, auction)
			}
		}
		slices.Sort(hot.Auctions)
		lines = append(lines, line{start, hot})
	}
	return lines
}

func highestBids(events []event.Event, s Settings) (lines []line) {
	for start, bids := range grouped(events, windowsOf(s.Window, s.Window)) {
		best := slices.MinFunc(bids, func(a, b event.Bid) int {
			return cmp.Or(-cmp.Compare(a.Cents, b.Cents), cmp.Compare(a.TimeMs, b.TimeMs),
				cmp.Compare(a.Bidder, b.Bidder), cmp.Compare(a.Auction, b.Auction))
		})
		lines = append(lines, line{start, best})
	}
	return lines
}

func statistics(events []event.Event, _ Settings) (lines []line) {
	byDay := map[AuctionDay][]int64{}
	for _, b := range bidsOf(events) {
		day := int64(time.UnixMilli(b.TimeMs).UTC().Truncate(24*time.Hour).Sub(time.UnixMilli(0)).Hours()) / 24
		k := AuctionDay{b.Auction, day}
		byDay[k] = append(byDay[k], b.Cents)
	}
	for k, prices := range byDay {
		slices.Sort(prices)
		low, _ := slices.BinarySearch(prices, 10_000)
		middle, _ := slices.BinarySearch(prices, 1_000_000)
		all, sum := int64(len(prices)), int64(0)
		for _, p := range prices {
			sum += p
		}
		lines = append(lines, line{k, Statistic{
			Bids: all, Low: int64(low), Middle: int64(middle - low), High: all - int64(middle),
			Least: prices[0], Most: prices[all-1], Sum: sum,
		}})
	}
	return lines
}

func lastBids(events []event.Event, _ Settings) (lines []line) {
	byPair := map[BidderAuction][]event.Bid{}
	for _, b := range bidsOf(events) {
		k := BidderAuction{b.Bidder, b.Auction}
		byPair[k] = append(byPair[k], b)
	}
	for k, bids := range byPair {
		lines = append(lines, line{k, slices.MaxFunc(bids, func(a, b event.Bid) int {
			return cmp.Or(cmp.Compare(a.TimeMs, b.TimeMs), cmp.Compare(a.Cents, b.Cents),
				cmp.Compare(a.Extra, b.Extra))
		})})
	}
	return lines
}

// expanded joins without any window.
func expanded(events []event.Event, _ Settings) (lines []line) {
	auctions := map[int64]event.Auction{}
	for _, ev := range events {
		if ev.Kind == event.KindAuction && ev.Auction.Category == 10 {
			auctions[ev.Auction.ID] = ev.Auction
		}
	}
	for _, b := range bidsOf(events) {
		if a, ok := auctions[b.Auction]; ok {
			lines = append(lines, line{b.Auction, Expanded{b, a}})
		}
	}
	return lines
}
