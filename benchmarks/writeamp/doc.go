// Writeamp measures how many bytes go to the disk for each byte of payload: groups of 256 replicas with 16
// KiB entries, and lone writes of 1 KiB with a sync each, beside the same in a raw file.
//
// The device's own counter is what counts; it counts everybody, so the machine has to be quiet. The kernel's
// counter of the process stands beside it: there a page that is written twice counts once.
package main
