package event

import (
	"math/rand/v2"
	"time"
)

// The proportions: what 50 ids that follow each other are.
const (
	PersonsOf50  = 1
	AuctionsOf50 = 3
	BidsOf50     = 46
	epoch        = PersonsOf50 + AuctionsOf50 + BidsOf50
)

// The ids that come first, and how the world looks.
const (
	FirstPerson   = 1000
	FirstAuction  = 1000
	FirstCategory = 10

	categories     = 5
	activePersons  = 1000
	activeAuctions = 100
	lead           = 10  // how far somebody may be ahead of what is there: persons and auctions that will come
	hotBatch       = 100 // every so many there is a hot seller, bidder or auction
	shuffle        = 953 // has no factor in common with a Group that is a power of 10
)

// Generator says which events there are. It is a value; Defaults fills it.
type Generator struct {
	Seed  uint64
	First int64     // id of the first event
	Rate  int64     // events in a second of event time
	Group int64     // that many events come in another order than that of their times, again and again; 1: in order
	Base  time.Time // event time of id 0
}

// Defaults returns a Generator with the settings that are usual: 10,000 events a second, in order.
func Defaults(seed uint64) Generator {
	return Generator{Seed: seed, Rate: 10_000, Group: 1, Base: time.UnixMilli(1_436_918_400_000)}
}

// At makes event number n, which is not negative. Numbers are the order of arrival.
func (g Generator) At(n int64) Event {
	id := g.First + n/g.Group*g.Group + n%g.Group*shuffle%g.Group
	ev := Event{TimeMs: g.time(id)}
	m := maker{Rand: rand.New(rand.NewPCG(g.Seed, uint64(id))), id: id}
	switch at := id % epoch; {
	case at < PersonsOf50:
		ev.Kind, ev.Person = KindPerson, m.person(ev.TimeMs)
	case at < PersonsOf50+AuctionsOf50:
		ahead := g.time(id+activeAuctions*epoch/AuctionsOf50) - ev.TimeMs
		ev.Kind, ev.Auction = KindAuction, m.auction(ev.TimeMs, ahead)
	default:
		ev.Kind, ev.Bid = KindBid, m.bid(ev.TimeMs, g.Seed)
	}
	return ev
}

// Disorder is the most that an event comes behind a later one, in event time.
func (g Generator) Disorder() time.Duration {
	return time.Duration(g.Group) * time.Second / time.Duration(g.Rate)
}

func (g Generator) time(id int64) int64 { return g.Base.UnixMilli() + id*1000/g.Rate }

// maker makes one event from its own source of randomness.
type maker struct {
	*rand.Rand
	id  int64
	buf [maxText]byte
	n   int
}

// maxText is more than all texts of an event together have.
const maxText = 1024

func (m *maker) person(ms int64) Person {
	p := Person{ID: m.lastPerson() + FirstPerson, TimeMs: ms}
	name := m.mark()
	m.put(pick(m, firstNames))
	m.put(" ")
	m.put(pick(m, lastNames))
	email := m.mark()
	m.text(7, ' ')
	m.put("@")
	m.text(5, ' ')
	m.put(".com")
	card := m.mark()
	for i := range 4 {
		if i > 0 {
			m.put(" ")
		}
		m.digits(m.Int64N(10_000))
	}
	p.City, p.State = pick(m, cities), pick(m, states)
	extra := m.mark()
	m.extra(8+m.n+len(p.City)+len(p.State), 200)
	all := m.all()
	p.Name, p.Email, p.CreditCard, p.Extra = all[name:email], all[email:card], all[card:extra], all[extra:]
	return p
}

// auction makes an auction that is open for a random time, about as long as active auctions take to come.
func (m *maker) auction(ms, ahead int64) Auction {
	a := Auction{ID: m.lastAuction() + FirstAuction, TimeMs: ms}
	if m.IntN(4) > 0 {
		a.Seller = m.lastPerson() / hotBatch * hotBatch
	} else {
		a.Seller = m.nextPerson()
	}
	a.Seller += FirstPerson
	a.Category = FirstCategory + m.Int64N(categories)
	a.InitialCents = m.cents()
	a.ExpiresMs = ms + 1 + m.Int64N(max(2*ahead, 1))
	name := m.mark()
	m.text(20, ' ')
	description := m.mark()
	m.text(100, ' ')
	a.ReserveCents = a.InitialCents + m.cents()
	extra := m.mark()
	m.extra(8+m.n+5*8, 500)
	all := m.all()
	a.ItemName, a.Description, a.Extra = all[name:description], all[description:extra], all[extra:]
	return a
}

func (m *maker) bid(ms int64, seed uint64) Bid {
	b := Bid{TimeMs: ms}
	if m.IntN(2) > 0 {
		b.Auction = m.lastAuction() / hotBatch * hotBatch
	} else {
		b.Auction = m.nextAuction()
	}
	b.Auction += FirstAuction
	if m.IntN(4) > 0 {
		b.Bidder = m.lastPerson()/hotBatch*hotBatch + 1
	} else {
		b.Bidder = m.nextPerson()
	}
	b.Bidder += FirstPerson
	b.Cents = m.cents()
	if m.IntN(2) > 0 {
		at := m.IntN(len(hotChannels))
		b.Channel, b.URL = hotChannels[at], hotURLs[at]
		m.extra(4*8, 100)
		b.Extra = m.all()
		return b
	}
	channel := m.mark()
	number := m.channel()
	url := m.mark()
	m.url(seed, number)
	extra := m.mark()
	m.extra(4*8, 100)
	all := m.all()
	b.Channel, b.URL, b.Extra = all[channel:url], all[url:extra], all[extra:]
	return b
}

// lastPerson is the newest person, counted from 0, when the event happens.
func (m *maker) lastPerson() int64 { return m.id/epoch*PersonsOf50 + min(m.id%epoch, PersonsOf50-1) }

// lastAuction is the newest auction, counted from 0. Before the first one it is -1.
func (m *maker) lastAuction() int64 {
	full, at := m.id/epoch, m.id%epoch
	switch {
	case at < PersonsOf50:
		return full*AuctionsOf50 - 1
	case at < PersonsOf50+AuctionsOf50:
		return full*AuctionsOf50 + at - PersonsOf50
	}
	return full*AuctionsOf50 + AuctionsOf50 - 1
}

// nextPerson is one of the active persons, or one that will come.
func (m *maker) nextPerson() int64 {
	people := m.lastPerson() + 1
	active := min(people, activePersons)
	return people - active + m.Int64N(active+lead)
}

// nextAuction is one of the active auctions, or one that will come.
func (m *maker) nextAuction() int64 {
	last := m.lastAuction()
	first := max(last-activeAuctions, 0)
	return first + m.Int64N(last-first+1+lead)
}
