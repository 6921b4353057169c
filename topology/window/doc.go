// Package window says which time windows a record belongs to, when they are over, and under which row keys
// their results are kept. It is arithmetic and bytes; the operators of package topology do the rest.
//
//	event time → Windows.First, then every Advance → starts → AppendKey(start, key) → row key
//
// A row key is the start of the window in front of the key, so that rows stand in the order of their windows:
// those that are over, and those that have expired, are one range from the beginning of the store.
//
// Invariants:
//   - A window is [start, start+size) in whole milliseconds; starts are multiples of the advance and not
//     negative, as in Kafka Streams.
//   - A window is over when stream time ≥ start + size + grace. Its row lives at least that long.
//   - Row keys of one window stand together, in the order of their keys.
//
// It must not know types, serdes, stores or clocks.
package window
