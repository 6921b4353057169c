// Package records holds real data for the examples, part of the binary as the book in texts is: flights and
// airports of the United States, and earthquakes of a week. Origin and licence of each file stand in
// ORIGIN.md beside them.
//
//	*.csv → Flights, Earthquakes: in the order in which the world came to know of them
//	      → Airports: a table
//
// Invariant: the times in these records are those of the files; nothing is moved to today.
//
// It must not import anything of this module.
package records
