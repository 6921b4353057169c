// Package stage is what the examples have in common: a member to run a topology on, records to put in,
// records to take out. cmd/examples/texttransformer does the same without it, step by step.
//
//	member in a temporary directory → topics → feed → topology runs → show → all of it is gone
//
// The input is written before the topology starts, so that an example prints the same each time. A topology
// does not care: it would read the same records as they come.
//
// Invariants: nothing is listened on; Run returns when the topology and the member have ended.
//
// It must not know any example, and no program but the examples may import it.
package stage
