// Package replicas writes and reads the logs of many replicas of a store, as the partitions of a busy member
// do.
//
//	Log  one replica: Next makes the write of its next entries, Write waits for it
//	Fill many logs at once, each with one write in flight, so that their entries stand among each other
//
// Invariants: payloads do not compress; a frame is made anew for every entry, since the store may keep it; a
// log read back is checked to be whole and in order.
//
// It must not measure.
package replicas
