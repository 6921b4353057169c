// Command earthquakes finds the strongest earthquake that each seismic network reported within a day, for a
// real week of 2018: 1,679 reports.
//
//	earthquakes (key: network) → count and strongest, a day long, every 12 hours, emitted when final → strongest
//	                               └ late → late-reports
//
// A report comes when it was last changed, which is hours or days after the ground shook. Each window waits
// six hours for such reports, its grace. Nearly one in three comes too late for a window: it is not in what
// that window has given out, and it is not lost either.
package main
