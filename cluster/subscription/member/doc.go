// Package member is the core of a membership of a group of type "millstream": what a member of a consumer group
// does so that its client need not. The coordinator that it talks to is the one of Kafka's clients.
//
//	Joining → Syncing → Steady ─ rebalance → Joining …        Close → Leaving → Over        refused → Over
//	             └ the leader: members + topics → assign.Share → assignments
//
// A partition goes its own way through that, and flows as long as it stays assigned, whatever state the member is
// in:
//
//	assigned → (committed position, or the start policy) → told → records … → revoked → released | deadline → free
//
// A rebalance never waits for the client: the member joins with what it holds, and learns what it is to give back.
// Then the client has until the deadline; when all is given back the member joins again, and only then does the
// leader give these partitions to others (the cooperative protocol of KIP-429).
//
// Invariants:
//   - What a member holds between two assignments is a part of what it claimed in its last Join: so the leader
//     gives it to nobody else.
//   - A member that was not heard by the coordinator for as long as that may do without it holds nothing any more.
//   - Commits of a partition go out in their order, and only while it is held.
//   - Batches that were delivered and not paid for by credit are bounded by the credit and one batch.
//   - Each Commit is answered once.
//
// It must not do I/O and reads no clock. Records do not pass through it, only their sizes and offsets do.
package member
