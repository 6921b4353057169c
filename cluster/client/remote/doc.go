// Package remote is the client's Transport over gRPC: the same client.Client, to a member in another process.
//
//	Client → transport → one connection ─┬ calls: metadata, offsets, administration
//	                                     ├ one Produce stream: batches out, answers back by id
//	                                     ├ one Fetch stream for each consumer: whole batches, as they are stored
//	                                     └ one Consume stream for each membership of a group
//
// It is a package of its own so that a program that embeds a member, and uses package client in-process, links no
// gRPC.
//
// Invariants:
//   - Batches of one partition leave in the order in which they were given, each at most once: what a broken stream
//     leaves open is answered with fault.Unreachable, and the client's producer sends it again under the same
//     sequence, in order.
//   - Every Produce has its answer soon after its deadline, whatever the connection does.
//   - Refusals are those of the member: code, message and hint, so errors.Is tells the same as in-process.
//   - What a consumer has read ahead is bounded by the credit that its stream was given; a position that it left is
//     never handed out.
//   - A membership outlives its connection: what was held is told as lost, and the group is joined again.
//
// It must not batch, retry or choose partitions: that is package client's.
package remote
