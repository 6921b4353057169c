// Package benchmarks holds the programs that measure, one folder a question, and what they printed, in results/.
//
//	groupcommit/   the engine's group commit beside raw append + fdatasync, in one run
//	writeamp/      bytes written to the disk for a byte of payload
//	coldread/      logs that are not in memory: one of many, and all, beside raw reads
//	kafkapath/     the Kafka door beside kfake with SyncWrites: the same client binary, interleaved, read back
//	interference/  produce latency while salvage, log compaction or a cold scan goes on
//	restart/       start with gigabytes, after a kill and after a clean stop; idle partitions, sealed buckets
//	footprint/     time to ready, anonymous memory when idle, size of the binary
//	statestore/    state databases: read-modify-write beside bare Badger, restore, opening again, memory
//	nexmark/      the auction queries in the task core, and the fused chain of operators without state
//	record/        runs all of them for the record
//	peers/         a module of its own: Millstream beside JetStream, Redis and kfake
//
// What they share: measure/ (hardware line, touched memory, counters, results), raw/ (the same on plain files),
// replicas/ (logs in a store), kafkaload/ (records through a Kafka door), server/ (processes), load/ (the driver of
// records, which `millstream bench` has too), drive/ (one load on one server, with its figures).
//
// Every program prints the hardware line first, touches memory before it measures, and writes one JSON line a
// repetition. No figure here ever fails a test; the tests run each program with -quick, so that it does not rot.
package benchmarks
