// Package identity owns the names of activations and the rule who holds a name on this member.
//
//	(kind, name) ──Directory──▶ the activation with the highest epoch seen while one is there
//
// An Identity is what a virtual actor is called: "orders/3" of kind "replica". Its epoch is given by the
// placement table or by a raft term; its incarnation counts lives on this member.
//
// Invariants: a (kind, name) has at most one holder; a claim with a lower epoch than the holder's is refused;
// the text form "kind/name@epoch" is one to one.
//
// It promises nothing between members: two members may hold one name for a while. Whatever makes an effect
// durable checks the epoch. It must not know mailboxes or messages.
package identity
