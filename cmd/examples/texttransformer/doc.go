// Command texttransformer is a topology inside a program of its own: it keeps the lines that contain an "a"
// and writes them in capitals.
//
//	text-input → filter → map → text-output
//
// The program is a member: no server has to run, nothing is listened on, and the log is a temporary directory
// that goes when the program ends. It feeds a book to text-input, prints the first lines that come out at
// text-output and how many there were in all, and ends.
//
// The topology is the same as that of `millstream dev --demo`; there it is served to every Kafka client as
// well.
package main
