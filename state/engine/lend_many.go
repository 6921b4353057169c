package engine

import "github.com/millstream-io/millstream/state"

// lendMany implements bucket. What blocks have in one piece stands there; the rest is copied, into scratches as long
// as there are.
func (b *frameBucket) lendMany(key []byte, last uint64, most int, loan *state.Loan) (
	values [][]byte, full bool, err error,
) {
	wants, _, err := b.want(key, last, func(have, size int) bool {
		full = have > 0 && size > most-have
		return !full
	})
	if err != nil {
		return nil, false, err
	}
	values = make([][]byte, 0, len(wants))
	for len(wants) > 0 {
		n, bytes := touching(wants)
		if values, err = b.lendTouching(key, wants[:n], bytes, values, loan); err != nil {
			return values, false, err
		}
		wants = wants[n:]
	}
	return values, full, nil
}

// lendTouching appends values that touch, of so many bytes.
func (b *frameBucket) lendTouching(
	key []byte, wants []wantedValue, bytes int, values [][]byte, loan *state.Loan,
) ([][]byte, error) {
	if small := wants[0].small; small != nil {
		return append(values, small[:len(small):len(small)]), nil
	}
	if pieces := b.lentBlocks(wants, int64(bytes), loan); pieces != nil {
		return b.split(wants, pieces, values, loan), nil
	}
	to := b.roomFor(bytes, loan)
	if b.fromBlocks(wants, to) || readCached(b.frames.r, to, wants[0].at) {
		return cutUp(wants, to, values), nil
	}
	b.lookAhead(key, wants)
	if pieces := b.lentBlocks(wants, int64(bytes), loan); pieces != nil {
		untake(to, loan)
		return b.split(wants, pieces, values, loan), nil
	}
	if !b.fromBlocks(wants, to) {
		if err := b.frames.read(to, wants[0].at); err != nil {
			return values, err
		}
	}
	return cutUp(wants, to, values), nil
}

// roomFor returns memory for a copy: of the loan, or of its own where there is none.
func (b *frameBucket) roomFor(n int, loan *state.Loan) []byte {
	if to := b.blocks.room(n, loan); to != nil {
		return to
	}
	return uncleared(n)
}

// cutUp appends values that stand one behind the other in from.
func cutUp(wants []wantedValue, from []byte, values [][]byte) [][]byte {
	for _, w := range wants {
		values = append(values, from[:w.size:w.size])
		from = from[w.size:]
	}
	return values
}

// split appends values that stand one behind the other in pieces. One that goes over a border of two is copied.
func (b *frameBucket) split(wants []wantedValue, pieces, values [][]byte, loan *state.Loan) [][]byte {
	for _, w := range wants {
		for len(pieces[0]) == 0 {
			pieces = pieces[1:]
		}
		if w.size <= len(pieces[0]) {
			values = append(values, pieces[0][:w.size:w.size])
			pieces[0] = pieces[0][w.size:]
			continue
		}
		to := b.roomFor(w.size, loan)
		for have := 0; have < w.size; {
			n := copy(to[have:], pieces[0])
			if pieces[0] = pieces[0][n:]; len(pieces[0]) == 0 {
				pieces = pieces[1:]
			}
			have += n
		}
		values = append(values, to)
	}
	return values
}
