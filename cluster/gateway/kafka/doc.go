// Package kafka is the door for clients that speak the Kafka protocol: it turns frames into the intents
// of broker.Port and the answers into frames. It holds no state of the cluster.
//
// A connection has one reader and one writer. A request walks one way:
//
//	socket → input → reader: header, skim, decode → Port → done
//	                    ↓ call (in order)                 ↓ ready
//	                  queue → writer: encode → writev → socket
//
// The reader goes on reading while earlier requests are in flight; the writer takes the calls in the
// order of the requests, waits for each to be ready and writes as many as are ready with one system call.
// A Produce is read partition by partition, straight from the socket into the buffer that becomes the log
// entry. A Fetch answer is never assembled: its head is encoded by hand and the batches are handed to
// writev as they are.
//
// Invariants:
//   - Answers leave in the order of the requests; a Produce with acks 0 has none.
//   - No count and no length of a request is believed before the bytes for it were seen: skim walks a
//     body against its shape, without allocating, before kmsg decodes it.
//   - What a connection holds in flight is paid for by byte credits, of its own and of the member; a
//     reader without credit stops reading.
//   - Whatever a client sends costs at most its own connection. A panic in a handler does too.
//   - Serve returns after every goroutine that it started.
//
// It must not decide: every refusal comes from the port, but for those of the framing itself.
package kafka
