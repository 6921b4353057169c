package engine

import (
	"errors"

	"github.com/millstream-io/millstream/proto/fault"
)

// salvageOne rewrites the sealed bucket of which the smallest part is alive, if that part is below the
// configured one, or if the sealed buckets together hold more than twice what is alive in them.
func (c *class) salvageOne(sv *survey) (bool, error) {
	if c.s.o.SalvageBelow < 0 {
		return false, nil
	}
	var worst *handle
	var live, whole int64
	least := 1.0
	for _, h := range sv.sealed(c.id) {
		p := sv.parts[h]
		if p.kept || len(p.live) == 0 {
			continue
		}
		if err := h.weigh(p.live); err != nil {
			return false, err
		}
		w := &h.weight
		live, whole = live+w.live, whole+w.whole
		if f := float64(w.live) / float64(w.whole); f < least && !w.stays() {
			worst, least = h, f
		}
	}
	if worst == nil || (least >= c.s.o.SalvageBelow && (whole <= 2*live || least >= 0.5)) {
		return false, nil
	}
	return c.salvage([]source{{worst, sv.parts[worst].live}}, sv.parts[worst].dead)
}

// salvage rewrites buckets that stand together as one. It reports false, and says so in the log, where that
// has to wait or cannot be done at all.
func (c *class) salvage(from []source, dead deaths) (bool, error) {
	done, err := c.swap(from, dead, nil)
	unfit := errors.Is(err, errUnfit)
	if !unfit && fault.CodeOf(err) != fault.DiskFull {
		return done, err
	}
	c.s.o.Logger.Warn("bucket not rewritten", "class", c.id.String(), "bucket", from[0].h.id.String(), "err", err)
	for _, src := range from {
		if unfit {
			src.h.weight.unfit = src.h.weight.live
		}
	}
	return false, nil
}
