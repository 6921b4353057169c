package kafka

// The shapes of the requests of consumer groups.

var offsetCommitShape = shape{fields: []field{
	text(),                     // group
	number32,                   // generation
	text(),                     // member
	text().orNull().since(7),   // instance
	number64.since(2).until(4), // retention
	structs(
		text(),
		structs(
			number32,          // partition
			number64,          // offset
			number32.since(6), // leader epoch
			text().orNull(),   // metadata
		),
	),
}}

var offsetFetchShape = shape{fields: []field{
	text().until(7), // group
	structs(text(), list(number32)).orNull().until(7),
	structs(
		text(),                   // group
		text().orNull().since(9), // member
		number32.since(9),        // member epoch
		structs(text(), list(number32)).orNull(),
	).since(8),
	boolean.since(7), // stable offsets only
}}

var findCoordinatorShape = shape{fields: []field{
	text().until(3),
	number8.since(1), // type of the key
	list(text()).since(4),
}}

var joinGroupShape = shape{fields: []field{
	text(),                   // group
	number32,                 // session timeout
	number32.since(1),        // rebalance timeout
	text(),                   // member
	text().orNull().since(5), // instance
	text(),                   // protocol type
	structs(text(), bytesOf()),
	text().orNull().since(8), // reason
}}

var heartbeatShape = shape{fields: []field{
	text(),                   // group
	number32,                 // generation
	text(),                   // member
	text().orNull().since(3), // instance
}}

var leaveGroupShape = shape{fields: []field{
	text(),          // group
	text().until(2), // member
	structs(
		text(),                   // member
		text().orNull(),          // instance
		text().orNull().since(5), // reason
	).since(3),
}}

var syncGroupShape = shape{fields: []field{
	text(),                   // group
	number32,                 // generation
	text(),                   // member
	text().orNull().since(3), // instance
	text().orNull().since(5), // protocol type
	text().orNull().since(5), // protocol
	structs(text(), bytesOf()),
}}

var describeGroupsShape = shape{fields: []field{
	list(text()),
	boolean.since(3), // operations
}}

var listGroupsShape = shape{fields: []field{
	list(text()).since(4), // states
	list(text()).since(5), // types
}}

var deleteGroupsShape = shape{fields: []field{list(text())}}

var offsetDeleteShape = shape{fields: []field{
	text(), // group
	structs(text(), structs(number32)),
}}
