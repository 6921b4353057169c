package query

import (
	"github.com/millstream-io/millstream/benchmarks/nexmark/event"
)

// Converted is a bid with its price in euros.
type Converted struct {
	Auction    int64
	Bidder     int64
	MilliCents int64 // thousandths of a cent
	TimeMs     int64
	Extra      string
}

// AppendTo implements event.Row.
func (v *Converted) AppendTo(dst []byte) []byte {
	dst = event.AppendNumbers(dst, v.Auction, v.Bidder, v.MilliCents, v.TimeMs)
	return event.AppendTexts(dst, v.Extra)
}

// ReadFrom implements event.Row.
func (v *Converted) ReadFrom(r *event.Reader) {
	r.Numbers(&v.Auction, &v.Bidder, &v.MilliCents, &v.TimeMs)
	r.Texts(&v.Extra)
}

// Selected is a bid on an auction that q2 asks for.
type Selected struct {
	Auction int64
	Cents   int64
}

// AppendTo implements event.Row.
func (v *Selected) AppendTo(dst []byte) []byte {
	return event.AppendNumbers(dst, v.Auction, v.Cents)
}

// ReadFrom implements event.Row.
func (v *Selected) ReadFrom(r *event.Reader) {
	r.Numbers(&v.Auction, &v.Cents)
}

// Calculated is a bid with what q14 makes of it.
type Calculated struct {
	Auction    int64
	Bidder     int64
	MilliCents int64
	When       string // dayTime, nightTime or otherTime
	TimeMs     int64
	Extra      string
	Cs         int64 // letters c in Extra
}

// AppendTo implements event.Row.
func (v *Calculated) AppendTo(dst []byte) []byte {
	dst = event.AppendNumbers(dst, v.Auction, v.Bidder, v.MilliCents, v.TimeMs, v.Cs)
	return event.AppendTexts(dst, v.When, v.Extra)
}

// ReadFrom implements event.Row.
func (v *Calculated) ReadFrom(r *event.Reader) {
	r.Numbers(&v.Auction, &v.Bidder, &v.MilliCents, &v.TimeMs, &v.Cs)
	r.Texts(&v.When, &v.Extra)
}

// Channelled is a bid with the id of its channel.
type Channelled struct {
	Auction int64
	Bidder  int64
	Cents   int64
	Channel string
	ID      string
}

// AppendTo implements event.Row.
func (v *Channelled) AppendTo(dst []byte) []byte {
	dst = event.AppendNumbers(dst, v.Auction, v.Bidder, v.Cents)
	return event.AppendTexts(dst, v.Channel, v.ID)
}

// ReadFrom implements event.Row.
func (v *Channelled) ReadFrom(r *event.Reader) {
	r.Numbers(&v.Auction, &v.Bidder, &v.Cents)
	r.Texts(&v.Channel, &v.ID)
}

// Split is a bid with the first directories of its URL.
type Split struct {
	Auction int64
	Bidder  int64
	Cents   int64
	Channel string
	First   string
	Second  string
	Third   string
}

// AppendTo implements event.Row.
func (v *Split) AppendTo(dst []byte) []byte {
	dst = event.AppendNumbers(dst, v.Auction, v.Bidder, v.Cents)
	return event.AppendTexts(dst, v.Channel, v.First, v.Second, v.Third)
}

// ReadFrom implements event.Row.
func (v *Split) ReadFrom(r *event.Reader) {
	r.Numbers(&v.Auction, &v.Bidder, &v.Cents)
	r.Texts(&v.Channel, &v.First, &v.Second, &v.Third)
}

// AuctionDay is an auction on a day, counted from 1970.
type AuctionDay struct {
	Auction int64
	Day     int64
}

// AppendTo implements event.Row.
func (v *AuctionDay) AppendTo(dst []byte) []byte {
	return event.AppendNumbers(dst, v.Auction, v.Day)
}

// ReadFrom implements event.Row.
func (v *AuctionDay) ReadFrom(r *event.Reader) {
	r.Numbers(&v.Auction, &v.Day)
}

// BidderAuction is a bidder and an auction.
type BidderAuction struct {
	Bidder  int64
	Auction int64
}

// AppendTo implements event.Row.
func (v *BidderAuction) AppendTo(dst []byte) []byte {
	return event.AppendNumbers(dst, v.Bidder, v.Auction)
}

// ReadFrom implements event.Row.
func (v *BidderAuction) ReadFrom(r *event.Reader) {
	r.Numbers(&v.Bidder, &v.Auction)
}

// Statistic is what q17 knows of an auction and day. The mean is Sum through Bids.
type Statistic struct {
	Bids   int64
	Low    int64 // below 100 dollars
	Middle int64 // below 10,000 dollars
	High   int64 // all others
	Least  int64 // in cents, as Most and Sum
	Most   int64
	Sum    int64
}

// AppendTo implements event.Row.
func (v *Statistic) AppendTo(dst []byte) []byte {
	return event.AppendNumbers(dst, v.Bids, v.Low, v.Middle, v.High, v.Least, v.Most, v.Sum)
}

// ReadFrom implements event.Row.
func (v *Statistic) ReadFrom(r *event.Reader) {
	r.Numbers(&v.Bids, &v.Low, &v.Middle, &v.High, &v.Least, &v.Most, &v.Sum)
}

// Hottest is the auctions with the most bids of a window, in order.
type Hottest struct {
	Bids     int64 // of each of them
	Auctions []int64
}

// AppendTo implements event.Row.
func (v *Hottest) AppendTo(dst []byte) []byte {
	return event.AppendList(event.AppendNumbers(dst, v.Bids), v.Auctions)
}

// ReadFrom implements event.Row.
func (v *Hottest) ReadFrom(r *event.Reader) {
	r.Numbers(&v.Bids)
	r.List(&v.Auctions)
}

// Expanded is a bid with its auction.
type Expanded struct {
	Bid     event.Bid
	Auction event.Auction
}

// AppendTo implements event.Row.
func (v *Expanded) AppendTo(dst []byte) []byte { return v.Auction.AppendTo(v.Bid.AppendTo(dst)) }

// ReadFrom implements event.Row.
func (v *Expanded) ReadFrom(r *event.Reader) {
	v.Bid.ReadFrom(r)
	v.Auction.ReadFrom(r)
}
