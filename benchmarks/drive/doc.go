// Package drive runs one load on one server and gives its figures: rate, processor time of server and
// client, memory, bytes written, latencies. What was acknowledged is read back; a run that lost some of it
// is an error that says so.
//
//	Server (door, process) + Load → Produce | Consume | EndToEnd → figures for measure.Results
//
// Invariants: the same code drives every server; processor time, bytes and records are taken at the same two
// moments.
//
// It must not start servers, and it must not know which one it drives.
package drive
