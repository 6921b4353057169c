// Package wire owns how the messages of package apiv1 become bytes where the generated code would copy or would not
// know: raw batches, and refusals.
//
//	socket → gRPC's buffers → Codec → frame with room in front → broker       (one copy)
//	store → batches → Codec → gRPC's buffers → socket                          (none here)
//	a client's builder → Codec → gRPC's buffers → socket                       (none here)
//	fault.Error ⇄ apiv1.Error inside an answer, ⇄ google.rpc.Status with ErrorInfo for a call
//
// Both sides use it: the door of a member and the Go client. What is on the wire is plain protobuf, so that any other
// client needs nothing but the .proto files.
//
// Invariants: a length is believed only as far as there are bytes; what is decoded equals what the generated code
// would decode; codes and their properties come from the table of package fault alone.
//
// The package must not start goroutines, keep state but buffers, or know the broker.
package wire
