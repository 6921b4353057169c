// Package kafkaload makes topics and writes records through the Kafka door of a server, for programs that
// measure something else than the writing.
//
// Invariants: values do not compress; what Produced counts was acknowledged.
//
// It must not measure, and knows nothing of a member but its address.
package kafkaload
