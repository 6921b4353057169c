// Kfakeserver runs franz-go's kfake as a process of its own, writing every batch through to the disk, so that
// it can be measured beside a member. It prints its address and runs until it is told to end.
package main
