// Package config owns THE table of topic keys: name, type, default, accepted values, whether a key can be
// changed, and what it means. Doors, controller, machine, replica and command line all read this one table.
//
//	request → Parse (refuses, names every fault) → metadata log → Stored (takes as it is) → Topic → replica
//	request → Plan (the same, against what is set) → Change → metadata log → Change.Apply → Stored → Topic
//
// A key that this version cannot obey is not silently taken: another value is refused with
// fault.InvalidConfig, and the message names the limit and what is accepted. Values of Kafka's that ask for no more
// than is done anyway are taken, since clients send them; so are its hints on the layout of files, which no client
// can see the effect of, and the text of each says that it has none here.
//
// Invariants:
//   - Bounds are checked once, where a change is decided. A value that is in the log is never refused on
//     replay, so a later build with other bounds reads the same state.
//   - A value has one spelling in the log: lists are in the order of the table, numbers as strconv writes them.
//   - DescribeConfigs tells the truth: every key of the table is listed, no other.
//
// It must not read files, flags or the environment, and knows nothing of members or placement.
package config
