package event

import (
	"time"

	"github.com/millstream-io/millstream/state/serde"
)

// Kind says which of the three an event is.
type Kind uint8

// The kinds.
const (
	KindPerson Kind = iota
	KindAuction
	KindBid
)

// Event is one event. Only the attributes of its kind are set.
type Event struct {
	Kind    Kind
	TimeMs  int64 // event time, in milliseconds since 1970
	Person  Person
	Auction Auction
	Bid     Bid
}

// Person is somebody who has registered.
type Person struct {
	ID         int64
	Name       string
	Email      string
	CreditCard string
	City       string
	State      string
	TimeMs     int64
	Extra      string
}

// Auction is an item for sale.
type Auction struct {
	ID           int64
	ItemName     string
	Description  string
	InitialCents int64
	ReserveCents int64
	TimeMs       int64
	ExpiresMs    int64
	Seller       int64
	Category     int64
	Extra        string
}

// Bid is an offer for an item.
type Bid struct {
	Auction int64
	Bidder  int64
	Cents   int64 // the price
	Channel string
	URL     string
	TimeMs  int64
	Extra   string
}

// Time is the event time; zero for the zero Auction.
func (a Auction) Time() time.Time { return timeOf(a.TimeMs) }

// Time is the event time; zero for the zero Bid.
func (b Bid) Time() time.Time { return timeOf(b.TimeMs) }

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// The serdes of the events: a number is a varint, a text its length and its bytes.
var (
	PersonSerde  = Serde[Person]()
	AuctionSerde = Serde[Auction]()
	BidSerde     = Serde[Bid]()
)

var (
	_ serde.Serde[Person] = PersonSerde
	_ Row                 = (*Person)(nil)
)

// AppendTo implements Row.
func (p *Person) AppendTo(dst []byte) []byte {
	dst = AppendNumbers(dst, p.ID, p.TimeMs)
	return AppendTexts(dst, p.Name, p.Email, p.CreditCard, p.City, p.State, p.Extra)
}

// ReadFrom implements Row.
func (p *Person) ReadFrom(r *Reader) {
	r.Numbers(&p.ID, &p.TimeMs)
	r.Texts(&p.Name, &p.Email, &p.CreditCard, &p.City, &p.State, &p.Extra)
}

// AppendTo implements Row.
func (a *Auction) AppendTo(dst []byte) []byte {
	dst = AppendNumbers(dst, a.ID, a.InitialCents, a.ReserveCents, a.TimeMs, a.ExpiresMs, a.Seller, a.Category)
	return AppendTexts(dst, a.ItemName, a.Description, a.Extra)
}

// ReadFrom implements Row.
func (a *Auction) ReadFrom(r *Reader) {
	r.Numbers(&a.ID, &a.InitialCents, &a.ReserveCents, &a.TimeMs, &a.ExpiresMs, &a.Seller, &a.Category)
	r.Texts(&a.ItemName, &a.Description, &a.Extra)
}

// AppendTo implements Row.
func (b *Bid) AppendTo(dst []byte) []byte {
	dst = AppendNumbers(dst, b.Auction, b.Bidder, b.Cents, b.TimeMs)
	return AppendTexts(dst, b.Channel, b.URL, b.Extra)
}

// ReadFrom implements Row.
func (b *Bid) ReadFrom(r *Reader) {
	r.Numbers(&b.Auction, &b.Bidder, &b.Cents, &b.TimeMs)
	r.Texts(&b.Channel, &b.URL, &b.Extra)
}
