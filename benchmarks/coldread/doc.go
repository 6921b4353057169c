// Coldread measures what it costs to read logs that are not in memory: one partition of many caught up alone
// beside strided reads of a raw file, all partitions at once beside reading that file from its beginning, and
// both again warm. Before each cold step the store is closed and opened again, and its files leave the page
// cache.
//
// What is measured stands in front of a filler, so that opening the store, which looks at the end of what was
// written last, does not warm it. cached_mb says what was in memory all the same.
package main
