package engine

import (
	"maps"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// mergeBelow is the part of BucketBytes that buckets which become one may hold together: an entry is copied
// again and again only until its bucket is half full.
const mergeBelow = 2

// neighbours are sealed buckets that stand together and can become one.
type neighbours struct {
	most int64 // bytes that may be alive in them
	from []source
	live int64
	ends map[record.ReplicaID]uint64 // the last index that each replica has in them
	dead deaths
}

// mergeSmall puts one bucket in the place of neighbours of which compaction has left little: a class whose
// logs never end would have one more each day, however little is alive in them. Other classes lose their
// oldest buckets, and keep small ones so that they can.
func (c *class) mergeSmall(sv *survey) (bool, error) {
	if c.id != state.ClassCompact || c.s.o.SalvageBelow < 0 {
		return false, nil
	}
	var n *neighbours
	for _, h := range sv.buckets[c.id] {
		if n != nil {
			joined, err := n.join(h, sv.parts[h])
			if err != nil {
				return false, err
			}
			if joined {
				continue
			}
			if len(n.from) > 1 {
				break
			}
		}
		n = &neighbours{most: c.s.o.BucketBytes / mergeBelow, ends: map[record.ReplicaID]uint64{}, dead: deaths{}}
		if joined, err := n.join(h, sv.parts[h]); err != nil {
			return false, err
		} else if !joined {
			n = nil
		}
	}
	if n == nil || len(n.from) < 2 {
		return false, nil
	}
	return c.salvage(n.from, n.dead)
}

// join adds a bucket, and reports false where it does not fit: it holds too much, it cannot be rewritten, or
// a replica has something elsewhere between what it has in it and in those before it. That must stay between.
func (n *neighbours) join(h *handle, p *part) (bool, error) {
	if !p.shut || p.kept || len(p.live) == 0 {
		return false, nil
	}
	for _, x := range p.live {
		if end, ok := n.ends[x.id]; ok && end+1 != x.lo {
			return false, nil
		}
	}
	if err := h.weigh(p.live); err != nil {
		return false, err
	}
	if w := &h.weight; w.damaged() || n.live+w.live >= n.most {
		return false, nil
	}
	n.from = append(n.from, source{h, p.live})
	n.live += h.weight.live
	for _, x := range p.live {
		n.ends[x.id] = x.hi
	}
	maps.Copy(n.dead, p.dead)
	return true, nil
}
