// Package listener bounds the connections that a door takes.
//
//	listener → Limit → taken, up to a number
//	                 ↘ closed at once, and counted
//
// Invariant: the place of a connection is free again once it has been closed, however often.
//
// It must not know what is spoken on a connection.
package listener
