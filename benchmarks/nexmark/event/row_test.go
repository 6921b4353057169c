package event

import (
	"testing"

	"github.com/millstream-io/millstream/state/serde"
)

// Goal: every event comes back from its bytes. Method: 500 of them.
func TestSerdes(t *testing.T) {
	for n := range int64(500) {
		ev := Defaults(3).At(n)
		back := Event{Kind: ev.Kind, TimeMs: ev.TimeMs}
		var err error
		switch ev.Kind {
		case KindPerson:
			back.Person, err = roundTrip(PersonSerde, ev.Person)
		case KindAuction:
			back.Auction, err = roundTrip(AuctionSerde, ev.Auction)
		case KindBid:
			back.Bid, err = roundTrip(BidSerde, ev.Bid)
		}
		if err != nil || back != ev {
			t.Fatalf("%+v became %+v, %v", ev, back, err)
		}
	}
}

func roundTrip[T any](s serde.Serde[T], v T) (back T, err error) {
	b, err := s.Append(nil, serde.Info{}, v)
	if err != nil {
		return back, err
	}
	return s.Decode(b, serde.Info{})
}

// Goal: no bytes make a decoder panic, and what it takes has one form. Method: bytes that decode are
// encoded and decoded again.
func FuzzDecode(f *testing.F) {
	for n := range int64(8) {
		ev := Defaults(3).At(n)
		f.Add(ev.Bid.AppendTo(nil))
		f.Add(ev.Auction.AppendTo(nil))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		again(t, BidSerde, b)
		again(t, AuctionSerde, b)
		again(t, PersonSerde, b)
	})
}

func again[T comparable](t *testing.T, s serde.Serde[T], b []byte) {
	v, err := s.Decode(b, serde.Info{})
	if err != nil {
		return
	}
	if back, err := roundTrip(s, v); err != nil || back != v {
		t.Errorf("%+v became %+v, %v", v, back, err)
	}
}
