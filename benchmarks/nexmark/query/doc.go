// Package query holds queries of Nexmark as topologies: q0 q1 q2 q5 q7 q14 q17 q18 q20 q21 q22.
//
//	Bids, Auctions → operators → Out…
//
// Money stays an integer: cents, and thousandths of a cent where a query multiplies by 0.908. Hours and days are UTC.
// Where SQL leaves open which of several equal rows it takes, the order is total here, so that a result does not depend
// on the order in which records come.
//
// It must not make events or run anything.
package query
