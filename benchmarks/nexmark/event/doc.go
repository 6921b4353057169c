// Package event makes the events of Nexmark, an online auction: persons, auctions and bids, and writes them as bytes.
//
//	number → order of arrival → event id → kind and time → a PCG of seed and id → attributes
//
// Invariants:
//   - At is a pure function of the Generator and the number: any part of a stream can be made again, or by somebody else.
//   - Any 50 ids that follow each other, from a multiple of 50 on, are 1 person, 3 auctions and 46 bids.
//   - A Group above 1 changes the order in which events come and nothing else: it is the same events with the same times.
//
// Two things differ from the generator in Java on purpose: attributes repeat, because they come from the seed and not
// from an unseeded source; and the first person's id is added to a bidder once, so that bidders are persons. All times
// are integers.
//
// It must not do I/O, read a clock or know what is computed from the events.
package event
