// Nexmark measures how many events a core takes through each query, in the task core: events and results are batches in
// memory, rows are in memory with their changelogs beside them, nobody waits for a disk or a network. One partition.
//
//	events → batches, before it counts | tasks: read, check, decode, operators, rows, encode, batches → memory
//
// It also measures one fused chain of operators that keep no state, which has a bar. Processor time counts, of the
// whole process: what the collector takes is in it.
package main
