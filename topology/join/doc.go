// Package join says which records of two streams meet, when a record can meet no more, and under which row
// keys the buffers of both sides keep theirs. It is arithmetic and bytes; the operators of package topology
// do the rest.
//
//	[segment][length of key][key][time][number]   a record in the buffer of its side
//	[index][time][length of key][key][number]     a left record that has met nobody yet
//
// A segment is a stretch of event time. Within one, the records of a key stand together, so that finding the
// partners of a record is one short range in each of the few segments that its window touches. Expired
// records go a segment at a time. The index, which only left joins have, is in the order of times: what has
// met nobody when its window closes is its beginning.
//
// Invariants:
//   - Records at t on the left and u on the right meet where t-before ≤ u ≤ t+after.
//   - A record can meet nobody any more when stream time > its last possible partner + grace.
//   - Row keys differ in their numbers where side, key and time are the same: no record hides another.
//
// It must not know types, serdes, stores or clocks.
package join
