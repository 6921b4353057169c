// Package gate lets callers into something that may be closed under them, and lets whoever closes it wait until they
// have left.
//
//	Enter → use → Leave;   Shut → nobody enters any more → Wait → close
//
// Invariants: who is inside may enter again; Wait returns when nobody is inside a gate that is shut.
//
// It must not know what is behind the gate.
package gate
