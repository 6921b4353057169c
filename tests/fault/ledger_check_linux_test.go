package fault

import (
	"testing"
)

// Goal: the ledger finds a log that lost, changed, invented, doubled or brought back a record, or cut off too much or too
// little. Method: one acknowledged history; what is read of it, right or spoiled in one way.
func TestLedgerFindsFaults(t *testing.T) {
	record := func(key, value string) copied { return copyOf([]byte(key), []byte(value)) }
	deleted := copyOf([]byte("gone"), nil)
	a, b, c, late := record("a", "1"), record("b", "1"), record("a", "2"), record("b", "2")
	dense, keyed := shape{}, shape{keyed: true}
	for name, test := range map[string]struct {
		of    shape
		start int64
		found map[int64]copied
		fault bool
	}{
		"all":                   {of: dense, found: map[int64]copied{0: a, 1: b, 2: c, 3: deleted}},
		"all and one sent":      {of: dense, found: map[int64]copied{0: a, 1: b, 2: c, 3: deleted, 4: late}},
		"lost":                  {of: dense, found: map[int64]copied{0: a, 1: b, 3: deleted}, fault: true},
		"end lost":              {of: dense, found: map[int64]copied{0: a, 1: b, 2: c}, fault: true},
		"changed":               {of: dense, found: map[int64]copied{0: a, 1: late, 2: c, 3: deleted}, fault: true},
		"never sent":            {of: dense, found: map[int64]copied{0: a, 1: b, 2: c, 3: deleted, 4: record("x", "")}, fault: true},
		"doubled":               {of: dense, found: map[int64]copied{0: a, 1: b, 2: c, 3: deleted, 4: a}, fault: true},
		"hole":                  {of: dense, found: map[int64]copied{0: a, 1: b, 2: c, 3: deleted, 5: late}, fault: true},
		"cut unasked":           {of: dense, start: 1, found: map[int64]copied{1: b, 2: c, 3: deleted}, fault: true},
		"compacted":             {of: keyed, found: map[int64]copied{1: b, 2: c}},
		"compacted, one sent":   {of: keyed, found: map[int64]copied{2: c, 4: late}},
		"newest lost":           {of: keyed, found: map[int64]copied{0: a, 1: b}, fault: true},
		"key lost":              {of: keyed, found: map[int64]copied{1: b}, fault: true},
		"deleted and come back": {of: keyed, found: map[int64]copied{-1: record("gone", "0"), 1: b, 2: c}, fault: true},
	} {
		l, p := newLedger(), part{"t", 0}
		for offset, what := range []copied{a, b, c, deleted} {
			l.add(at{p, int64(offset)}, l.send(p, what), what)
		}
		l.send(p, late)
		l.acked[p][-1] = record("gone", "0")
		if !test.of.keyed {
			delete(l.acked[p], -1)
		}
		s := &stretch{start: test.start, found: test.found}
		for offset := range test.found {
			s.end = max(s.end, offset+1)
		}
		if faults := l.compare(p, test.of, s); len(faults) > 0 != test.fault {
			t.Errorf("%s: %v", name, faults)
		}
	}
	l, p := newLedger(), part{"t", 0}
	l.asks(p, 5)
	l.reaches(p, 3)
	for start, fault := range map[int64]bool{2: true, 3: false, 5: false, 6: true} {
		if faults := l.compare(p, shape{}, &stretch{start: start, end: start}); len(faults) > 0 != fault {
			t.Errorf("log start %d: %v", start, faults)
		}
		delete(l.starts, p)
	}
	if len(l.compare(p, shape{keepBytes: 10}, &stretch{start: 4, end: 4})) == 0 {
		t.Error("a log that keeps less than it should was not found out")
	}
	l.starts[p] = 5
	if len(l.compare(p, shape{}, &stretch{start: 4, end: 4})) == 0 {
		t.Error("a log start that went back was not found out")
	}
}
