// Interference measures what background work does to those who write: the latency of a steady open load on
// the Kafka door of a member while it is left alone, while salvage runs, while log compaction runs, and while
// somebody reads the log from the disk.
//
//	fill → restart, cold → load for all of the rest: quiet → scan, salvage, compaction in turns → quiet again
//
// Latency is taken from the moment at which a record was meant to be sent, so that what queues up is in it.
// Work lasts until the member's metrics say that the last bucket was rewritten; records meant for that time
// make its figures. late_p99_ms tells how late the load itself was: the figures are worth nothing where it is
// much.
package main
