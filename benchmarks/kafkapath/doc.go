// Kafkapath measures the Kafka door beside kfake with SyncWrites: both acknowledge after an fsync, both are
// driven by this one franz-go client, in turns, each with a fresh process and directory. Everything that was
// acknowledged is read back and verified; a run that lost a record prints INVALID.
//
// After that each load runs once more on a member that is profiled meanwhile, through its HTTP door: its
// processor time for a million records, split into the door, actors and raft, the engine, and the runtime.
package main
