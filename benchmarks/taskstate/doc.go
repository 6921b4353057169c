// Program taskstate measures what a topology that keeps state reaches on a member: a word count beside the same by
// hand over the Kafka door of the same member, read-modify-write with and without a changelog, what comes back after
// the rows on disk are gone, how soon output follows a restart, the way through a stateful topology beside the plain
// way through a topic, and the memory of many tasks.
package main
