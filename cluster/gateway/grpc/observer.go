package grpc

import "time"

// Observer is told what a door does. Its calls come from many goroutines and must not block.
type Observer interface {
	// Opened is called for each connection that is taken, Closed when it has ended; Refused for one too many.
	Opened()
	Closed()
	Refused()
	// Began is called when a call or stream begins, Ended when it has ended: its full method name, such as
	// "/millstream.api.v1.Records/Fetch", and the name of the gRPC status that it ended with.
	Began(method string)
	Ended(method, status string, took time.Duration)
	// Produced is called for the batches of one partition that came in, Fetched for those that went out: bytes as
	// stored.
	Produced(bytes int)
	Fetched(bytes int)
	// Throttled is called when a stream had to wait for the member's byte budget.
	Throttled(took time.Duration)
	// Stuck is called when a stream is ended because its client took nothing for SendTimeout.
	Stuck(method string)
	// Panicked is called when a handler panicked.
	Panicked(method string)
}

// nobody is the Observer of a door that has none.
type nobody struct{}

func (nobody) Opened()                             {}
func (nobody) Closed()                             {}
func (nobody) Refused()                            {}
func (nobody) Began(string)                        {}
func (nobody) Ended(string, string, time.Duration) {}
func (nobody) Produced(int)                        {}
func (nobody) Fetched(int)                         {}
func (nobody) Throttled(time.Duration)             {}
func (nobody) Stuck(string)                        {}
func (nobody) Panicked(string)                     {}
