package mem

import (
	"bytes"
	"slices"
)

// Items of a node, but for the root's least.
const (
	maxItems = 63
	minItems = maxItems / 2
)

// item is a row; its slices are never written again.
type item struct{ key, value []byte }

// owner is whose nodes may be changed in place. It has a size, so that two of them are never one.
type owner struct{ _ byte }

// node is a node of the tree. A leaf has no children; any other has one more than it has items.
type node struct {
	owner    *owner
	items    []item
	children []*node
}

// mine returns n where o may change it, and o's copy of it otherwise.
func (n *node) mine(o *owner) *node {
	if n.owner == o {
		return n
	}
	c := &node{owner: o, items: append(make([]item, 0, maxItems), n.items...)}
	if n.children != nil {
		c.children = append(make([]*node, 0, maxItems+1), n.children...)
	}
	return c
}

// find returns where key stands in n, or which child it belongs to.
func (n *node) find(key []byte) (at int, ok bool) {
	return slices.BinarySearchFunc(n.items, key, func(it item, key []byte) int { return bytes.Compare(it.key, key) })
}

// get returns the value of key below n, which may be nil.
func (n *node) get(key []byte) (value []byte, ok bool) {
	for n != nil {
		at, ok := n.find(key)
		if ok {
			return n.items[at].value, true
		}
		if n.children == nil {
			return nil, false
		}
		n = n.children[at]
	}
	return nil, false
}

// put returns the root of a tree that has it, and the bytes that the tree has more than before.
func put(root *node, o *owner, it item) (*node, int64) {
	if root == nil {
		return &node{owner: o, items: append(make([]item, 0, maxItems), it)}, itemBytes(it)
	}
	root = root.mine(o)
	if len(root.items) == maxItems {
		root = &node{owner: o, items: make([]item, 0, maxItems), children: append(make([]*node, 0, maxItems+1), root)}
		root.split(0, o)
	}
	return root, root.insert(o, it)
}

func itemBytes(it item) int64 { return int64(len(it.key) + len(it.value)) }

// split halves the full child at i; n is its caller's own and not full.
func (n *node) split(i int, o *owner) {
	left := n.children[i].mine(o)
	right := &node{owner: o, items: append(make([]item, 0, maxItems), left.items[minItems+1:]...)}
	middle := left.items[minItems]
	clear(left.items[minItems:])
	left.items = left.items[:minItems]
	if left.children != nil {
		right.children = append(make([]*node, 0, maxItems+1), left.children[minItems+1:]...)
		clear(left.children[minItems+1:])
		left.children = left.children[:minItems+1]
	}
	n.items = slices.Insert(n.items, i, middle)
	n.children[i] = left
	n.children = slices.Insert(n.children, i+1, right)
}

// insert puts an item below n, which is its caller's own and not full.
func (n *node) insert(o *owner, it item) int64 {
	for {
		at, ok := n.find(it.key)
		switch {
		case ok:
			more := itemBytes(it) - itemBytes(n.items[at])
			n.items[at] = it
			return more
		case n.children == nil:
			n.items = slices.Insert(n.items, at, it)
			return itemBytes(it)
		case len(n.children[at].items) == maxItems:
			n.split(at, o)
			continue // what moved up may be the key, or stand before it
		}
		n.children[at] = n.children[at].mine(o)
		n = n.children[at]
	}
}

// remove returns the root of a tree without key, and the bytes that the tree has less.
func remove(root *node, o *owner, key []byte) (*node, int64) {
	if _, ok := root.get(key); !ok {
		return root, 0
	}
	root = root.mine(o)
	it := root.take(o, key)
	if len(root.items) > 0 {
		return root, itemBytes(it)
	}
	if root.children == nil {
		return nil, itemBytes(it)
	}
	return root.children[0], itemBytes(it)
}

// take removes the item of a key that is below n. n is its caller's own and, but for the root, has an item to
// spare.
func (n *node) take(o *owner, key []byte) item {
	at, ok := n.find(key)
	if n.children == nil {
		must(ok, "a key that was found is gone")
		it := n.items[at]
		n.items = slices.Delete(n.items, at, at+1)
		return it
	}
	if !ok {
		return n.spare(at, o).take(o, key)
	}
	it := n.items[at]
	if len(n.children[at].items) > minItems {
		n.children[at] = n.children[at].mine(o)
		n.items[at] = n.children[at].takeEnd(o, true)
		return it
	}
	if len(n.children[at+1].items) > minItems {
		n.children[at+1] = n.children[at+1].mine(o)
		n.items[at] = n.children[at+1].takeEnd(o, false)
		return it
	}
	return n.join(at, o).take(o, key)
}

// takeEnd removes the last item below n, or the first one; n is as in take.
func (n *node) takeEnd(o *owner, last bool) item {
	at := 0
	if n.children != nil {
		if last {
			at = len(n.items)
		}
		return n.spare(at, o).takeEnd(o, last)
	}
	if last {
		at = len(n.items) - 1
	}
	it := n.items[at]
	n.items = slices.Delete(n.items, at, at+1)
	return it
}

// spare returns child i with an item to spare, o's own: it borrows from a neighbour, or is joined with one.
func (n *node) spare(i int, o *owner) *node {
	switch {
	case len(n.children[i].items) > minItems:
		n.children[i] = n.children[i].mine(o)
		return n.children[i]
	case i > 0 && len(n.children[i-1].items) > minItems:
		n.borrowLeft(i, o)
		return n.children[i]
	case i < len(n.items) && len(n.children[i+1].items) > minItems:
		n.borrowRight(i, o)
		return n.children[i]
	case i == len(n.items):
		i--
	}
	return n.join(i, o)
}

// borrowLeft moves the last item of the child before i up, and the one between them down.
func (n *node) borrowLeft(i int, o *owner) {
	from, to := n.children[i-1].mine(o), n.children[i].mine(o)
	n.children[i-1], n.children[i] = from, to
	end := len(from.items) - 1
	to.items = slices.Insert(to.items, 0, n.items[i-1])
	n.items[i-1] = from.items[end]
	from.items = slices.Delete(from.items, end, end+1)
	if from.children != nil {
		to.children = slices.Insert(to.children, 0, from.children[end+1])
		from.children = slices.Delete(from.children, end+1, end+2)
	}
}

// borrowRight is borrowLeft from the other side.
func (n *node) borrowRight(i int, o *owner) {
	to, from := n.children[i].mine(o), n.children[i+1].mine(o)
	n.children[i], n.children[i+1] = to, from
	to.items = append(to.items, n.items[i])
	n.items[i] = from.items[0]
	from.items = slices.Delete(from.items, 0, 1)
	if from.children != nil {
		to.children = append(to.children, from.children[0])
		from.children = slices.Delete(from.children, 0, 1)
	}
}

// join makes one child of those at i and i+1 and the item between them.
func (n *node) join(i int, o *owner) *node {
	left, right := n.children[i].mine(o), n.children[i+1]
	left.items = append(append(left.items, n.items[i]), right.items...)
	left.children = append(left.children, right.children...)
	n.items = slices.Delete(n.items, i, i+1)
	n.children = slices.Delete(n.children, i+1, i+2)
	n.children[i] = left
	return left
}

// ascend calls fn with the items from lo on, until it returns false.
func (n *node) ascend(lo []byte, fn func(item) bool) bool {
	at, ok := 0, false
	if len(lo) > 0 {
		at, ok = n.find(lo)
	}
	if n.children != nil && !ok && !n.children[at].ascend(lo, fn) {
		return false
	}
	for ; at < len(n.items); at++ {
		if !fn(n.items[at]) || n.children != nil && !n.children[at+1].ascend(nil, fn) {
			return false
		}
	}
	return true
}

// descend calls fn with the items below hi, the last one first, until it returns false; hi nil is the end.
func (n *node) descend(hi []byte, fn func(item) bool) bool {
	at := len(n.items)
	if hi != nil {
		at, _ = n.find(hi)
	}
	if n.children != nil && !n.children[at].descend(hi, fn) {
		return false
	}
	for at--; at >= 0; at-- {
		if !fn(n.items[at]) || n.children != nil && !n.children[at].descend(nil, fn) {
			return false
		}
	}
	return true
}
