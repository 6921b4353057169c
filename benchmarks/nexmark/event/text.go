package event

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"strconv"
)

var (
	firstNames = []string{
		"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
	}
	lastNames = []string{"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"}
	cities    = []string{
		"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne",
	}
	states      = []string{"AZ", "CA", "ID", "OR", "WA", "WY"}
	hotChannels = []string{"Google", "Facebook", "Baidu", "Apple"}
	hotURLs     = []string{
		"https://www.nexmark.com/googl/_mill/race_/item.htm?query=1",
		"https://www.nexmark.com/faceb/ook_s/tream/item.htm?query=1",
		"https://www.nexmark.com/baidu/wheel/_pond/item.htm?query=1",
		"https://www.nexmark.com/apple/press/sluic/item.htm?query=1",
	}
)

// channels is how many there are besides the hot ones.
const channels = 10_000

func pick(m *maker, of []string) string { return of[m.IntN(len(of))] }

// mark returns where the next text begins.
func (m *maker) mark() int { return m.n }

// all returns every text so far: one allocation for an event.
func (m *maker) all() string { return string(m.buf[:m.n]) }

func (m *maker) put(s string) { m.n += copy(m.buf[m.n:], s) }

func (m *maker) putByte(c byte) {
	m.buf[m.n] = c
	m.n++
}

// digits writes four of them.
func (m *maker) digits(v int64) {
	for _, unit := range []int64{1000, 100, 10, 1} {
		m.putByte(byte('0' + v/unit%10))
	}
}

// text writes 3 to limit-1 characters, a thirteenth of them special, and takes spaces off both ends.
func (m *maker) text(limit int, special byte) {
	from := m.n
	m.letters(m.Rand, 3+m.IntN(limit-3), special)
	first, last := from, m.n
	for first < last && m.buf[first] == ' ' {
		first++
	}
	for last > first && m.buf[last-1] == ' ' {
		last--
	}
	m.n = from + copy(m.buf[from:], m.buf[first:last])
}

func (m *maker) letters(from *rand.Rand, n int, special byte) {
	for range n {
		if v := from.Uint32N(13 * 26); v >= 26 {
			m.putByte(byte('a' + v%26))
		} else {
			m.putByte(special)
		}
	}
}

// extra writes letters that bring a row of size bytes to about the size that is wanted.
func (m *maker) extra(size, wanted int) {
	if size > wanted {
		return
	}
	left := wanted - size
	delta := int(math.Round(float64(left) * 0.2))
	n := left - delta
	if delta > 0 {
		n += m.IntN(2 * delta)
	}
	for v := uint64(0); n > 0; n-- {
		if v < 26 {
			v = m.Uint64()
		}
		m.putByte(byte('a' + v%26))
		v /= 26
	}
}

// cents is a price: 100 cents to 100 million, each order of magnitude as often.
func (m *maker) cents() int64 { return int64(math.Round(math.Pow(10, m.Float64()*6) * 100)) }

// channel writes the name of a channel that is not hot, and returns its number.
func (m *maker) channel() uint32 {
	number := m.Uint32N(channels)
	m.put("channel-")
	m.n += len(strconv.AppendUint(m.buf[m.n:m.n], uint64(number), 10))
	return number
}

// url writes the address of a channel, the same each time. Nine of ten name the channel in it.
func (m *maker) url(seed uint64, channel uint32) {
	own := rand.New(rand.NewPCG(^seed, uint64(channel)))
	m.put("https://www.nexmark.com")
	for range 3 {
		m.put("/")
		m.letters(own, 3+own.IntN(2), '_')
	}
	m.put("/item.htm?query=1")
	if own.IntN(10) == 0 {
		return
	}
	id := int64(int32(bits.Reverse32(channel)))
	m.put("&channel_id=")
	m.n += len(strconv.AppendInt(m.buf[m.n:m.n], max(id, -id), 10))
}
