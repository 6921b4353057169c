// Package actors is the virtual-actor runtime: it gives every (kind, name) that is placed on this member one
// actor at a time, with a mailbox, timers, requests with deadlines, supervision and an orderly end. It stands
// on protoactor-go (PIDs, mailboxes, lifecycle, supervision hooks) and is its only importer; kinds see Actor
// and Context.
//
//	Activate("replica", "orders/3", 7) → activation "replica/orders/3@7" → life 1 ✕ crash → pause → life 2 …
//
//	caller ──Ref.Tell──▶ mailbox ─▶ Receive ─▶ Go(work) ─▶ pool ─┐
//	       ──Ref.Ask ──▶    ▲          │                         │
//	          reply ◀───────┼──ReplyTo─┘  (now, or later)        │
//	                        └──────── result, timer, Post ◀──────┘   only for the life that asked for it
//
// An activation is one (kind, name, epoch); a Ref points to it. A life is one actor value with one
// incarnation number; a crash ends the life, and package supervise decides whether another follows. What is
// behind a Ref may therefore forget everything at any time: requests are answered or refused, never lost in
// silence, and callers repeat them idempotently.
//
// Invariants:
//   - one life of a (kind, name) at a time: a successor waits until its predecessor has stopped;
//   - messages of one sender to one life arrive in the order they were sent;
//   - every Ask ends exactly once: reply, deadline, or the end of the life that it went to;
//   - timers, results of Go and calls of Post reach the life that made them or nobody, and those that reach nobody
//     are counted;
//   - Close returns when no goroutine of the system is left.
//
// Mailboxes are unbounded; credits at the edges keep them small. Nothing here holds a process-wide global, so
// that several systems live in one process, and all time comes from Options.Now and time.AfterFunc, so that a
// system runs in a testing/synctest bubble.
//
// It must not know what any kind does, decide where activations live, or deliver between members.
package actors
