// Package query has the words in which committed rows of stores are asked for and answered: bytes, without the types
// of a store. It owns nothing and does nothing.
//
//	topology.Get(…) → Get → whoever has the application → Got → decoded by the store's handle
//
// A Scan is answered in pages. The asker hands the Cursor of a page in for the next one, so nobody keeps anything for
// an asker that is slow or has gone, and a page can be asked for again.
//
// Invariant: a page holds rows of one or more tasks in the order of their partitions, and of each task in the order of
// the keys' bytes, each row at most once.
package query
