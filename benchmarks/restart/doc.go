// Restart measures what a member costs that has something to remember: the time to ready after a kill and
// after a clean stop with gigabytes in its log, the memory and processor time of partitions that nobody uses,
// and the memory and goroutines of sealed buckets.
//
// The real binary runs as a process of its own. It is killed while records are on their way to it; a start
// that lost one that was acknowledged prints INVALID.
package main
