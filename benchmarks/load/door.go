package load

import "context"

// Door is one way into one server: a client library and what it is told. Topics are whatever the server calls
// its logs.
type Door interface {
	// Create makes topics. It blocks. Error: the server's, also where one of them is there.
	Create(ctx context.Context, partitions int, topics ...string) error
	// Writer connects a producer of one topic. Close it.
	Writer(ctx context.Context, topic string) (Writer, error)
	// Reader connects one consumer of topics. It reads what is there, and what comes. Close it.
	Reader(ctx context.Context, topics ...string) (Reader, error)
}

// Writer is one producer. One goroutine uses it.
type Writer interface {
	// Send gives a value away. It may wait for room. done runs exactly once, on any goroutine, and does not
	// block.
	Send(ctx context.Context, value []byte, done func(error))
	// Put sends a value and waits for its acknowledgement.
	Put(ctx context.Context, value []byte) error
	// Close ends the connection. Nothing may be under way.
	Close()
}

// Reader is one consumer. One goroutine uses it.
type Reader interface {
	// Read waits for records and shows each of them; the bytes are valid within each, whose error ends it.
	// Errors: ctx's, each's and the server's.
	Read(ctx context.Context, each func(value []byte) error) error
	// Close ends the connection.
	Close()
}
