package kafka

import "time"

// Cause says why a connection ended.
type Cause string

// The causes.
const (
	CauseClient    Cause = "client"    // the client closed it
	CauseDrain     Cause = "drain"     // the door closes
	CauseMalformed Cause = "malformed" // it sent what cannot be read
	CauseTimeout   Cause = "timeout"   // idle, half-open, or it took its answers too slowly
	CausePanic     Cause = "panic"     // a handler panicked
	CauseRefused   Cause = "refused"   // a Produce with acks 0 was refused
	CauseLimit     Cause = "limit"     // it was one too many and was never taken
)

// Observer is told what a door does. Its calls come from many goroutines and must not block.
type Observer interface {
	// Opened is called for each connection that is taken, Closed once when it has ended. Of a connection
	// that is one too many only Closed is told, with CauseLimit.
	Opened()
	Closed(Cause)
	// Answered is called when an answer has been written: bytes of the request and of the answer, and the
	// time since the request was decoded.
	Answered(key, version int16, inBytes, outBytes int, took time.Duration)
	// Payload is called for the records of one partition of a Produce: their size in bytes, and how many
	// of these bytes were copied on their way from the socket into the entry's buffer.
	Payload(bytes, copied int)
	// Throttled is called when a reader had to wait for byte credits.
	Throttled(took time.Duration)
	// Panicked is called when a handler panicked.
	Panicked(key int16)
}

// nobody is the Observer of a door that has none.
type nobody struct{}

func (nobody) Opened()                                        {}
func (nobody) Closed(Cause)                                   {}
func (nobody) Answered(int16, int16, int, int, time.Duration) {}
func (nobody) Payload(int, int)                               {}
func (nobody) Throttled(time.Duration)                        {}
func (nobody) Panicked(int16)                                 {}
