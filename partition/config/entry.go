package config

// Source says where a value comes from; numbers as in Kafka's DescribeConfigs.
type Source int8

// The sources.
const (
	SourceTopic   Source = 1 // set on the topic
	SourceBroker  Source = 4 // set in the member's configuration
	SourceDefault Source = 5 // this build's default
)

// ValueType is the type of a key's value; numbers as in Kafka's DescribeConfigs.
type ValueType int8

// The value types.
const (
	TypeBool     ValueType = 1
	TypeString   ValueType = 2
	TypeInt      ValueType = 3
	TypeLong     ValueType = 5
	TypeDouble   ValueType = 6
	TypeList     ValueType = 7
	TypeClass    ValueType = 8
	TypePassword ValueType = 9
)

// Entry is one key of a resource as DescribeConfigs tells it.
type Entry struct {
	Key      string
	Value    string
	Default  string
	Source   Source
	Type     ValueType
	ReadOnly bool
	Doc      string
}
