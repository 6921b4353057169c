package query

import (
	"strings"
	"time"

	"github.com/millstream-io/millstream/benchmarks/nexmark/event"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// What the queries that keep no state write; the key is the auction.
var (
	OutQ0  = topology.NewTopic("q0-bids", serde.Int64, event.BidSerde)
	OutQ1  = topology.NewTopic("q1-converted", serde.Int64, event.Serde[Converted]())
	OutQ2  = topology.NewTopic("q2-selected", serde.Int64, event.Serde[Selected]())
	OutQ14 = topology.NewTopic("q14-calculated", serde.Int64, event.Serde[Calculated]())
	OutQ21 = topology.NewTopic("q21-channels", serde.Int64, event.Serde[Channelled]())
	OutQ22 = topology.NewTopic("q22-directories", serde.Int64, event.Serde[Split]())
)

// PassOn is q0.
func PassOn(Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q0")
	topology.From(b, Bids).To(OutQ0)
	return b.Build()
}

// rate is euros for a thousand dollars.
const rate = 908

// Convert is q1.
func Convert(Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q1")
	topology.MapValues(topology.From(b, Bids), func(b event.Bid) Converted {
		return Converted{b.Auction, b.Bidder, b.Cents * rate, b.TimeMs, b.Extra}
	}).To(OutQ1)
	return b.Build()
}

// Select is q2.
func Select(Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q2")
	some := topology.From(b, Bids).Filter(func(_ int64, b event.Bid) bool { return b.Auction%123 == 0 })
	topology.MapValues(some, func(b event.Bid) Selected { return Selected{b.Auction, b.Cents} }).To(OutQ2)
	return b.Build()
}

// Calculate is q14.
func Calculate(Settings) (*topology.Topology, error) {
	const least, most = 1_000_000 * 1000, 50_000_000 * 1000
	b := topology.NewBuilder("nexmark-q14")
	some := topology.From(b, Bids).Filter(func(_ int64, b event.Bid) bool {
		return b.Cents*rate > least && b.Cents*rate < most
	})
	topology.MapValues(some, func(b event.Bid) Calculated {
		return Calculated{
			Auction: b.Auction, Bidder: b.Bidder, MilliCents: b.Cents * rate, When: timeOfDay(b.TimeMs),
			TimeMs: b.TimeMs, Extra: b.Extra, Cs: int64(strings.Count(b.Extra, "c")),
		}
	}).To(OutQ14)
	return b.Build()
}

func timeOfDay(ms int64) string {
	switch hour := ms % (24 * time.Hour).Milliseconds() / time.Hour.Milliseconds(); {
	case hour >= 8 && hour <= 18:
		return "dayTime"
	case hour <= 6 || hour >= 20:
		return "nightTime"
	}
	return "otherTime"
}

// ChannelID is q21.
func ChannelID(Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q21")
	topology.MapValues(topology.From(b, Bids), func(b event.Bid) Channelled {
		return Channelled{b.Auction, b.Bidder, b.Cents, b.Channel, channelID(b)}
	}).Filter(func(_ int64, c Channelled) bool { return c.ID != "" }).To(OutQ21)
	return b.Build()
}

// channelID is "" where a bid has none.
func channelID(b event.Bid) string {
	switch strings.ToLower(b.Channel) {
	case "apple":
		return "0"
	case "google":
		return "1"
	case "facebook":
		return "2"
	case "baidu":
		return "3"
	}
	_, id, found := strings.Cut(b.URL, "&channel_id=")
	if !found {
		return ""
	}
	id, _, _ = strings.Cut(id, "&")
	return id
}

// Directories is q22.
func Directories(Settings) (*topology.Topology, error) {
	b := topology.NewBuilder("nexmark-q22")
	topology.MapValues(topology.From(b, Bids), func(b event.Bid) Split {
		_, rest, _ := strings.Cut(b.URL, "//")
		_, rest, _ = strings.Cut(rest, "/")
		s := Split{Auction: b.Auction, Bidder: b.Bidder, Cents: b.Cents, Channel: b.Channel}
		s.First, rest, _ = strings.Cut(rest, "/")
		s.Second, rest, _ = strings.Cut(rest, "/")
		s.Third, _, _ = strings.Cut(rest, "/")
		return s
	}).To(OutQ22)
	return b.Build()
}
