package config

// Topic is the parsed configuration of one topic. Overrides holds only what was set, as it was set.
type Topic struct {
	MaxMessageBytes int
	LogAppendTime   bool
	Overrides       map[string]string
}
