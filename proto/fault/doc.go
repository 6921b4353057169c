// Package fault owns every refusal that a client can see: one Error type and one table that says what each
// Code is on the Kafka wire, in gRPC and in HTTP, whether it is worth a retry, and which family it belongs
// to.
//
// A refusal is made where it is decided (core, broker, engine) and travels unchanged to the door, which only
// translates it:
//
//	core: fault.New(fault.NotLeader, …) → broker → door: err.Code.Kafka()
//
// Families tell the caller what to do: Caller (fix the request), Place (re-route), Limit (slow down or make
// it smaller), Wait (retry), Damage (page someone).
//
// Invariants: every Code has exactly one row; a row's Kafka number is the number of Kafka's own error table;
// messages never hold keys or values of records.
//
// It must not import anything of this module, nor a wire library.
package fault
