package kafka

// The shapes of the request bodies that kmsg decodes; Produce is read by hand. A test checks each of them
// against kmsg's own encoder in every version.

var (
	boolean  = fixed(1)
	number8  = fixed(1)
	number16 = fixed(2)
	number32 = fixed(4)
	number64 = fixed(8)
	uuid     = fixed(16)
)

var fetchShape = shape{
	fields: []field{
		number32.until(14), // replica
		number32,           // max wait
		number32,           // min bytes
		number32.since(3),  // max bytes
		number8.since(4),   // isolation
		number32.since(7),  // session
		number32.since(7),  // session epoch
		structs(
			text().until(12),
			uuid.since(13),
			structs(
				number32,           // partition
				number32.since(9),  // current epoch
				number64,           // offset
				number32.since(12), // last epoch
				number64.since(5),  // log start
				number32,           // max bytes
			),
		),
		structs(text().until(12), uuid.since(13), list(number32)).since(7), // forgotten
		text().since(11), // rack
	},
	// The replica state of followers has tagged fields of its own, whose number takes one byte where
	// there are none.
	known: map[uint32][]field{1: {number32, number64, number8}},
}

var listOffsetsShape = shape{fields: []field{
	number32,         // replica
	number8.since(2), // isolation
	structs(
		text(),
		structs(
			number32,          // partition
			number32.since(4), // current epoch
			number64,          // timestamp
			number32.until(0), // max offsets
		),
	),
	number32.since(10), // timeout
}}

var metadataShape = shape{fields: []field{
	structs(uuid.since(10), text().until(9), text().orNull().since(10)).orNull(),
	boolean.since(4),           // auto-create
	boolean.since(8).until(10), // cluster operations
	boolean.since(8),           // topic operations
}}

var apiVersionsShape = shape{fields: []field{text().since(3), text().since(3)}}

var createTopicsShape = shape{fields: []field{
	structs(
		text(),
		number32, // partitions
		number16, // replicas
		structs(number32, list(number32)),
		structs(text(), text().orNull()),
	),
	number32,         // timeout
	boolean.since(1), // validate only
}}

var deleteTopicsShape = shape{fields: []field{
	list(text()).until(5),
	structs(text().orNull(), uuid).since(6),
	number32, // timeout
}}

var deleteRecordsShape = shape{fields: []field{
	structs(text(), structs(number32, number64)), // topic, partition, offset
	number32, // timeout
}}

var initProducerIDShape = shape{fields: []field{
	text().orNull(),
	number32,          // transaction timeout
	number64.since(3), // producer id
	number16.since(3), // producer epoch
}}

var offsetForLeaderEpochShape = shape{fields: []field{
	number32.since(3), // replica
	structs(
		text(),
		structs(
			number32,          // partition
			number32.since(2), // current epoch
			number32,          // epoch
		),
	),
}}

var describeConfigsShape = shape{fields: []field{
	structs(number8, text(), list(text()).orNull()),
	boolean.since(1), // synonyms
	boolean.since(3), // documentation
}}

var alterConfigsShape = shape{fields: []field{
	structs(
		number8, // resource type
		text(),
		structs(text(), text().orNull()), // key, value
	),
	boolean, // validate only
}}

var incrementalAlterConfigsShape = shape{fields: []field{
	structs(
		number8, // resource type
		text(),
		structs(text(), number8, text().orNull()), // key, operation, value
	),
	boolean, // validate only
}}

var describeLogDirsShape = shape{fields: []field{
	structs(text(), list(number32)).orNull(), // topic, partitions
}}

var createPartitionsShape = shape{fields: []field{
	structs(text(), number32, structs(list(number32)).orNull()),
	number32, // timeout
	boolean,  // validate only
}}

var describeClusterShape = shape{fields: []field{
	boolean,          // cluster operations
	number8.since(1), // endpoint type
	boolean.since(2), // fenced brokers
}}

var describeProducersShape = shape{fields: []field{
	structs(text(), list(number32)), // topic, partitions
}}

var describeTopicPartitionsShape = shape{fields: []field{
	structs(text()),
	number32,                   // most partitions
	optional(text(), number32), // cursor: topic, partition
}}
