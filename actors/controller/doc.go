// Package controller is the shell of the only decider of the cluster's metadata. It lives beside the leader
// of the metadata log, with that leader's term as its epoch.
//
//	CreateTopics, … → meta.Policy (newest table) → commands → Propose → metadata log → applied
//	→ table published → answer
//
// The decisions are partition/machine/meta's; the shell carries them out. It does not wait for one request
// before it decides the next: where two meet, the machine takes the one that comes first in the log and
// refuses the other.
//
// Invariants: a request is answered once, when each of its changes was applied and the table that holds
// them is published, or was refused; a producer id is handed out once in the life of a cluster, because a
// block belongs to who allocated it through the log; what is in flight is bounded.
//
// It must not keep metadata of its own (the table is the truth), and never block.
package controller
