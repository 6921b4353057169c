// Package subscription keeps memberships of groups on behalf of clients: the driver of the core in member, over the
// port of the broker. The in-process client and the gRPC door use it alike.
//
//	Commit, Release, Seek, … → inbox → Run: member.Step → broker (asynchronous) → inbox
//	                                        └→ queue → Receive
//
// Invariants:
//   - Only Run steps the core; the broker's callbacks do nothing but put answers into the inbox.
//   - What waits in the queue is bounded: records by the credit and one batch, events by their number.
//   - Buffers that were fetched are given back once, whether the client took the records or not.
//
// It starts no goroutine: whoever opens a Subscription runs it, and waits for it. It must not know of a wire.
package subscription
