// Package benchmarks holds the programs that measure, one folder a path, and what they printed, in results/.
//
//	groupcommit/   the engine's group commit beside raw append + fdatasync, in one run
//	kafkapath/     the Kafka door beside kfake with SyncWrites: the same client binary, interleaved, read back
//	copies/        our own copies of a payload between socket and store, counted
//	footprint/     time to ready, anonymous memory when idle, size of the binary
//	peers/         what others need to be started
//	measure/       hardware line, processor time, medians, results as JSON lines
//
// Every program prints the hardware line first, touches memory before it measures, and writes one JSON line a
// repetition. No figure here ever fails a test.
package benchmarks
