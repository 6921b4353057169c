// Command metrics adds up counters of several instances of a service and sends the sums to Graphite.
//
//	counters (key: instance/metric) → table → group by metric: reduce(add, subtract) → lines over TCP
//
// Each instance reports how often something happened since it started. A newer report replaces the older one:
// the table takes the old figure out of the sum and brings the new one in. An instance that is gone, a record
// without a value, leaves the sum.
//
// Graphite is played by a listener in this program, which prints the lines that it gets.
package main
