// Package partitiontest runs replicas of one partition in one loop from one seed, on the engine's store in
// memory, and judges what clients saw.
//
//	seed → Cluster{hosts, network, clients, faults} → one event at a time in virtual time → history → checkers
//
// From the root of the module:
//
//	go test ./partition/partitiontest -seeds 1000                       more seeds
//	go test ./partition/partitiontest -run 'TestSeeds$' -seed 42 -v     one again
//
// Invariants: the same seed gives the same trace hash; every checker has a switch that breaks what it checks,
// and a test that the break is seen.
//
// It must be imported by tests only.
package partitiontest
