package state

// Class is a retention class. The replicas of one class on one member share an active bucket and a committer.
type Class uint8

// The classes: Short keeps up to six hours, Long anything else that is deleted by age or size, Compact what
// is compacted by key, Meta the metadata log. Relaxed is apart from them, whatever its records' age: there alone
// a write may be acknowledged before it is durable, and no other class has anything to do with what it loses.
const (
	ClassMeta Class = iota
	ClassLong
	ClassShort
	ClassCompact
	ClassRelaxed
	ClassCount
)

var classNames = [ClassCount]string{"meta", "long", "short", "compact", "relaxed"}

// String returns the class's name, which is also its directory's.
func (c Class) String() string {
	if c < ClassCount {
		return classNames[c]
	}
	return "unknown"
}
