package lint

import (
	"fmt"
	"os"
	"sort"
	"strings"
)

// exception is one line of ratchet.txt: `rule path subject # reason`.
type exception struct {
	key    string
	reason string
	line   int
}

// readRatchet reads the known exceptions. A line without a reason is an error.
func readRatchet(name string) ([]exception, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return parseRatchet(string(text))
}

func parseRatchet(text string) ([]exception, error) {
	var out []exception
	for i, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		key, reason, ok := strings.Cut(l, " # ")
		if !ok || strings.TrimSpace(reason) == "" || len(strings.Fields(key)) != 3 {
			return nil, fmt.Errorf("ratchet line %d: want `rule path subject # reason`, have %q", i+1, l)
		}
		out = append(out, exception{strings.Join(strings.Fields(key), " "), reason, i + 1})
	}
	return out, nil
}

// settle takes the excepted findings away and returns what is left, and the exceptions that match nothing.
func settle(found []finding, known []exception) (left []finding, stale []exception) {
	used := make(map[string]bool)
	excepted := make(map[string]bool)
	for _, e := range known {
		excepted[e.key] = true
	}
	for _, f := range found {
		if excepted[f.key()] {
			used[f.key()] = true
			continue
		}
		left = append(left, f)
	}
	for _, e := range known {
		if !used[e.key] {
			stale = append(stale, e)
		}
	}
	sort.Slice(left, func(i, j int) bool { return left[i].String() < left[j].String() })
	return left, stale
}
