// Package client is the Go client: one concrete Client over a small Transport, so that partitioner, batching,
// retries and idempotence exist once, whether a member lives in the same process or behind a connection.
//
// A record walks one way out, and its answer the same way back:
//
//	Produce → partitioner → sink (one a partition: batch, sequence) → sender → Transport.Produce
//	callback ← notifier ← sink (in order) ← done
//
// A record comes in through Consumer.Poll: one Fetch over all assigned partitions, decoded in place.
//
// Invariants:
//   - Every record that ProduceAsync took gets its callback exactly once, with an offset or an error.
//   - Records of one partition become durable, and their callbacks run, in the order in which they were produced.
//   - An idempotent batch is sent again with the same sequence until it is answered; where it cannot be known
//     whether a batch was written, its records get an error that says so, and what follows goes out under a new
//     producer id.
//   - Bytes under way are bounded by MaxBufferedBytes; a producer waits, as long as its ctx allows.
//
// It must not import Badger, raft, protoactor or a wire library, nor know where a partition lives: that is
// the Transport's.
package client
