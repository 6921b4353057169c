// Command runningtotal adds up the same three records twice: once as a stream, once as a table.
//
//	payments → group by "total" → add               → total-of-stream: 1, 2, 5
//	payments → newest of each name → add, subtract  → total-of-table:  1, 2, 4
//
// In a stream each record is a fact of its own: alice paid 1 and, later, 3 more. In a table the newest record
// of a key is all there is: what stands beside alice is 3 now, and no longer 1.
package main
