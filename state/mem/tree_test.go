package mem

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// well panics unless all invariants of a tree hold, and returns its depth.
func (n *node) well(root bool) int {
	if n == nil {
		return 0
	}
	must(root || len(n.items) >= minItems, "a node of %d items", len(n.items))
	must(len(n.items) <= maxItems, "a node of %d items", len(n.items))
	for i := 1; i < len(n.items); i++ {
		must(bytes.Compare(n.items[i-1].key, n.items[i].key) < 0, "keys do not ascend")
	}
	if n.children == nil {
		return 1
	}
	must(len(n.children) == len(n.items)+1, "%d children of %d items", len(n.children), len(n.items))
	depth := n.children[0].well(false)
	for i, c := range n.children {
		must(c.well(false) == depth, "leaves at two depths")
		must(i == 0 || bytes.Compare(n.items[i-1].key, c.items[0].key) < 0, "a child begins below its item")
		must(i == len(n.items) || bytes.Compare(c.items[len(c.items)-1].key, n.items[i].key) < 0, "a child ends above")
	}
	return depth + 1
}

func contents(root *node) map[string]string {
	all := map[string]string{}
	if root != nil {
		root.ascend(nil, func(it item) bool { all[string(it.key)] = string(it.value); return true })
	}
	return all
}

// Goal: the tree is a sorted map, keeps its shape, and an older root is never touched. Method: random puts and
// removals in batches against a map, up to some thousand keys and down to none; every root is compared again
// with what it was after later batches.
func TestTreeIsAMap(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var root *node
	model := map[string]string{}
	type past struct {
		root *node
		was  map[string]string
	}
	var pasts []past
	for batch := range 120 {
		o := new(owner)
		for range 200 {
			key := fmt.Appendf(nil, "%04d", rng.IntN(6000))
			var more int64
			if rng.IntN(120) < batch {
				root, more = remove(root, o, key)
				must(more == int64(len(model[string(key)])+map[bool]int{true: 4}[model[string(key)] != ""]), "%d bytes", more)
				delete(model, string(key))
				continue
			}
			value := fmt.Appendf(nil, "v%d", rng.IntN(1000))
			root, _ = put(root, o, item{key, value})
			model[string(key)] = string(value)
		}
		root.well(true)
		if got := contents(root); !maps.Equal(got, model) {
			t.Fatalf("batch %d: %d rows, not %d", batch, len(got), len(model))
		}
		if batch%20 == 0 {
			pasts = append(pasts, past{root, maps.Clone(model)})
		}
	}
	for key := range model {
		root, _ = remove(root, new(owner), []byte(key))
		root.well(true)
	}
	if root != nil {
		t.Fatal("an empty tree has a root")
	}
	for i, p := range pasts {
		if !maps.Equal(contents(p.root), p.was) {
			t.Fatalf("root %d has changed", i)
		}
	}
}

// Goal: walks begin and end where they are told, in both directions. Method: every pair of bounds around the keys
// of a tree of three levels, at a stride, against a sorted slice.
func TestTreeWalks(t *testing.T) {
	t.Parallel()
	var root *node
	var keys []string
	o := new(owner)
	for i := range 5000 {
		key := fmt.Sprintf("%05d", 2*i)
		keys = append(keys, key)
		root, _ = put(root, o, item{key: []byte(key)})
	}
	for at := 0; at <= 10_000; at += 37 {
		bound := fmt.Appendf(nil, "%05d", at)
		i, _ := slices.BinarySearch(keys, string(bound))
		n := 0
		root.ascend(bound, func(it item) bool {
			must(string(it.key) == keys[i+n], "up from %s: %s, not %s", bound, it.key, keys[i+n])
			n++
			return n < 70
		})
		must(n == min(70, len(keys)-i), "%d up from %s", n, bound)
		n = 0
		root.descend(bound, func(it item) bool {
			must(string(it.key) == keys[i-1-n], "down from %s: %s, not %s", bound, it.key, keys[i-1-n])
			n++
			return n < 70
		})
		must(n == min(70, i), "%d down from %s", n, bound)
	}
}
