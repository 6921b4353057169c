// Package golang runs Go clients that this project does not use itself, unmodified, against the real binary:
// segmentio/kafka-go and IBM/sarama, in the versions of its go.mod.
//
//	go build ./cmd/millstream → a process on a free port of loopback → a client writes, reads, administers
//	  → the process is killed → the same port again → what the client saw is compared with what it sent
//
// It is a module of its own, which the main module's `go test ./...` does not enter: the clients bring what they need
// in versions of their own, as in the programs that use them, and the main module depends on none of it. For the same
// reason it does not import the main module, not even its harness: a process with an address is all it needs.
//
//	cd tests/foreign/golang && go test ./...
//	go test ./... -args -binary /path/to/millstream    # instead of building one
//
// Invariants: every process listens on loopback, ends with its test, and is ended by its id.
package golang
