// Package assign decides which member of a group of type "millstream" reads which partition, and owns the bytes in
// which members tell the leader what they want and hold, and the leader what they get.
//
//	members (topics, owned, releasing) + topics (partitions) → Share → targets → what is free of others → assignments
//
// Sticky: a partition stays where it is unless the balance needs it to move. Balanced: loads differ by one at most
// where members read the same topics; where they do not, no chain of moves makes a fuller member lighter at the
// cost of one that stays lighter than it. Cooperative: a partition that somebody else still holds is given to
// nobody; its holder is not given it any more, gives it back and joins again, and then the new owner gets it.
//
// Invariants:
//   - Targets hold each partition that somebody subscribes to exactly once, at a subscriber.
//   - Assignments hold each partition at most once, and never one that another member holds.
//   - The result is a function of the input; the order of the members does not matter.
//
// It must not do I/O, read a clock or know of the coordinator.
package assign
