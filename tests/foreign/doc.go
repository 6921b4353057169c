// Package foreign runs the Kafka clients of other languages, unmodified, against a member: each client is a small
// script beside this file that plays a role (write, read, be a member of a group, administer) and says in lines on
// its standard output what it was told by the member. The tests play the same piece with each of them.
//
//	fetch → a folder of libraries → $FOREIGN_CLIENTS → go test ./tests/foreign
//
//	test → harness.StartServer → script (role) → lines → what must hold
//
// Lines of a script, one fact each:
//
//	produced <partition> <offset> <value>   the write was acknowledged
//	read <partition> <offset> <value>       the record was handed to the application
//	committed <partition> <position>        the commit was acknowledged
//	owns <partition>,<partition>,...        what the member of the group has now, maybe nothing
//	ok <what>                               a step of an administrator gave what it must
//
// A script that plays without an end goes on until its standard input closes, and then ends in good order.
//
// What these clients do with Kafka and not with a member, so that no script does it:
//   - group.protocol=consumer (KIP-848) is not served: Java says so at once, librdkafka waits in silence.
//   - Consumers of platformatic 1.35.0 do not get over a new leader epoch, so not over the kill of their only server.
//     Their reader of tagged fields (dist/protocol/reader.js, readTaggedFields) takes the number of fields for a zigzag
//     length in bytes: any field that is there puts it out of step, which ends as "Out of bounds". The first one it
//     meets is the current leader beside FENCED_LEADER_EPOCH (KIP-951, Fetch 16 and later), which Kafka sends too; kmsg
//     decodes the same bytes and encodes them again bit by bit. With that mended, their ListOffsets still repeats the
//     old leader epoch in every retry: metadata is dropped only behind the last one. So its groups share a topic, and a
//     new consumer reads all of it.
//
// Invariants: a test whose interpreter or library is not there skips and says so; every process listens on or talks
// to loopback only, ends with its test, and is ended by its id.
//
// It must not fetch anything while the tests run.
package foreign
