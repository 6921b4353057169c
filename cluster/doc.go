// Package cluster is a member: its configuration, and the one place where the parts meet.
//
//	Start: lock → member file → HTTP door → engine → metadata replica → table → replicas → Kafka door
//	table changes → directory: what lives here is activated, what does not is stopped
//	Close: Kafka door → tasks → replicas → metadata replica → engine → HTTP door → lock
//
// Invariants: nothing global is touched, so several members may live in one process; no goroutine outlives
// Close; every wait in Start ends with its context.
//
// It must not decide: what a topic, a replica or a task does is decided further down.
package cluster
