// Package raw does to plain files what the engine does to its buckets, so that a figure of the engine stands
// beside what the disk itself does in the same run.
//
//	Append     group after group, each made durable before the next
//	Strided    what one of many logs in a file costs to read: pieces of one size, far apart
//	Sequential the whole file from its beginning
//
// Invariants: a file is written before it is measured, of bytes that do not compress; nothing is mapped; one
// call is one reader.
//
// It must not know the engine.
package raw
