// Command flights finds the worst days of American cities in the first quarter of 2001: 20,000 real flights
// are joined with a table of airports, counted by city and day, and the mean delay of each day is given out
// once, when the day is over.
//
//	flights ──────────┐
//	                  ├ join: origin → key: city → mean delay per day, emitted when final → bad-days
//	airports ─ table ─┘                              └ late → late-flights
//
// A flight is known when it has landed, at its scheduled time and its delay. So a flight of the evening with
// a delay of four hours comes when its day may be over: the day waits an hour for such flights, its grace.
// What comes later than that is in a topic of its own.
package main
