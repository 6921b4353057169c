package broker

import "github.com/millstream-io/millstream/proto/fault"

// room reports whether n bytes may be written, and logs when that changes.
func (b *Broker) room(n int) bool {
	free := b.c.Store.Free()
	if free < int64(n) {
		if b.full.CompareAndSwap(false, true) {
			b.c.Logger.Warn("disk full: writes are refused until there is room", "bytes", n, "free", free)
		}
		return false
	}
	if b.full.Load() && b.full.CompareAndSwap(true, false) {
		b.c.Logger.Info("disk has room again: writes are taken", "free", free)
	}
	return true
}

func diskFull() error {
	return fault.New(fault.DiskFull, "the member's disk is full: nothing was written").
		WithHint("free space on its data volume; writes are taken again by themselves")
}

// underWay makes a refusal of one that only says that time is over: in front of a full disk requests wait for
// others that wait for room.
func (b *Broker) underWay(err error, n int) error {
	if fault.CodeOf(err) != fault.RequestTimedOut || b.room(n) {
		return err
	}
	return fault.New(fault.DiskFull, "the member's disk became full while the batch was on its way: %w", err).
		WithHint("free space on the data volume; writes go on by themselves then, and this one may be among them")
}
