// Package grpc is the door for clients that speak gRPC: it turns the calls of proto/api/v1 into the intents of
// broker.Port and the answers into messages. It holds no state of the cluster.
//
//	Produce: socket → codec: frame with room → reader goroutine → Port → done → inbox → handler: answer → socket
//	Fetch:   commands → handler ⇄ Port.Fetch → batches → codec: as they are → socket
//
// A stream has one goroutine that receives and one, the handler's, that sends. Answers of the port go to an inbox,
// which never blocks the actor that gives them.
//
// Invariants:
//   - What a stream holds in flight is bounded: requests by number and bytes, answers by what a reader granted and by
//     one message in the making. What all streams hold is charged to the member's budget, which all doors share.
//   - A client that does not read costs its own stream: its handler waits, nobody else does, and after SendTimeout the
//     stream is ended. What all readers have read ahead of their clients is bounded by ReadBytes, and beyond that by one
//     small answer for each.
//   - Every call ends when its context does, and gives back everything; Serve returns after every goroutine that it
//     started.
//   - A panic in a handler costs its own call.
//
// It must not decide: every refusal comes from the port, but for those of the request's form. Codes and their
// properties are those of package fault.
package grpc
