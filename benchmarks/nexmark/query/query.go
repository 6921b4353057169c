package query

import (
	"time"

	"github.com/millstream-io/millstream/benchmarks/nexmark/event"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// The inputs. A bid has the key of its auction, so that both are in partitions of the same number. Their
// time is that of the event.
var (
	Auctions = topology.NewTopic("auctions", serde.Int64, event.AuctionSerde).
			EventTime(func(r topology.Record[int64, event.Auction]) time.Time { return r.Value.Time() })
	Bids = topology.NewTopic("bids", serde.Int64, event.BidSerde).
		EventTime(func(r topology.Record[int64, event.Bid]) time.Time { return r.Value.Time() })
)

// Settings say how the windows are.
type Settings struct {
	Window  time.Duration // of q5 and q7
	Advance time.Duration // of q5
	Grace   time.Duration // how far an event may come behind a later one and still count
	Apart   time.Duration // how far an auction and its bids are apart at most, for q20
}

// Defaults are the settings that are usual, for events at 10,000 a second in order: all that is open at a
// time are the last hundred auctions.
func Defaults() Settings {
	return Settings{Window: 10 * time.Second, Advance: 2 * time.Second, Grace: 4 * time.Second, Apart: 2 * time.Second}
}

// Query is one query.
type Query struct {
	Name     string
	What     string
	Auctions bool // it reads auctions too, not bids alone
	Build    func(Settings) (*topology.Topology, error)
}

// All is every query there is.
var All = []Query{
	{"q0", "pass every bid on", false, PassOn},
	{"q1", "every bid in another currency", false, Convert},
	{"q2", "bids on some auctions", false, Select},
	{"q5", "auctions with the most bids, of the last windows", false, HotItems},
	{"q7", "the highest bid of each window", false, HighestBid},
	{"q14", "filter, and functions of a bid", false, Calculate},
	{"q17", "statistics of an auction and day", false, Statistics},
	{"q18", "the last bid of a bidder on an auction", false, LastBid},
	{"q20", "bids with their auctions, of one category", true, Expand},
	{"q21", "channel id by pattern", false, ChannelID},
	{"q22", "directories of the URL", false, Directories},
}
