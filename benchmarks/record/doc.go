// Record runs the programs that measure the log, one after the other, with the settings for the record, and
// leaves the output of each in a file: what `task bench:log` does.
//
// It waits until the machine has nothing else to do before each of them, and gives up where that does not
// come. The output of a program that failed is not left in the place of an older one.
package main
