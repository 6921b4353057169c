// Kafkapath measures the Kafka door beside kfake with SyncWrites: both acknowledge after an fsync, both are
// driven by this one franz-go client, in turns, each with a fresh process and directory. Everything that was
// acknowledged is read back and verified; a run that lost a record prints INVALID.
package main
