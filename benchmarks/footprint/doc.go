// Footprint measures what a member costs before anybody uses it: time from start to ready (empty directory,
// and with a log), anonymous memory when idle, and the size of the binary.
package main
