// Command orders brings three topics together: orders meet their payments if those come within ten minutes,
// and what was paid meets the customer, for a letter of thanks.
//
//	orders   ─┐
//	          ├ join within 10 minutes → key: customer → repartition ─┐
//	payments ─┘                                                       ├ join → peek → paid-orders
//	customers → table ────────────────────────────────────────────────┘
//
// The time that counts is in the records, not the clock of the machine: the program reads an afternoon of
// orders in a moment and gives the same answer.
package main
