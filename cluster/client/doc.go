// Package client is the Go client: one concrete Client over a small Transport, so that partitioner, batching,
// retries and idempotence exist once, whether a member lives in the same process or behind a connection.
//
// A record walks one way out, and its answer the same way back:
//
//	Produce → partitioner → sink (one a partition: batch, sequence) → sender → Transport.Produce
//	callback ← notifier ← sink (in order) ← done
//
// A record comes in through Consumer.Poll: one Fetch over all assigned partitions, decoded in place. A Group is told
// by its Subscription what it has to read; it gives partitions back, and commits, in Poll:
//
//	Subscription.Receive → assigned | revoked | lost | batches → inbox → Poll or Records
//
// Package remote has the Transport over gRPC and Dial. It is apart so that whoever embeds a member links no gRPC for
// its client.
//
// Invariants:
//   - Every record that ProduceAsync took gets its callback exactly once, with an offset or an error.
//   - Records of one partition become durable, and their callbacks run, in the order in which they were produced.
//   - An idempotent batch is sent again with the same sequence until it is answered; where it cannot be known
//     whether a batch was written, its records get an error that says so, and what follows goes out under a new
//     producer id.
//   - A position moves when a record is handed out, never before: leaving a loop loses nothing.
//   - A record of a group is committed by itself only when the application has come back for more.
//   - Bytes under way are bounded by MaxBufferedBytes; a producer waits, as long as its ctx allows.
//
// It must not import Badger, raft, protoactor or a wire library, nor know where a partition lives: that is
// the Transport's.
package client
