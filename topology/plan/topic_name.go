package plan

import "fmt"

// MaxTopicName is the largest length of a topic's name, in bytes.
const MaxTopicName = 249

// CheckTopicName says what is wrong with the name of a topic: it has 1 to MaxTopicName letters, digits, dots,
// underscores and dashes, and is neither "." nor "..".
func CheckTopicName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("topic name is empty")
	case name == "." || name == "..":
		return fmt.Errorf("topic name may not be %q", name)
	case len(name) > MaxTopicName:
		return fmt.Errorf("topic name has %d bytes, at most %d are allowed", len(name), MaxTopicName)
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; !nameByte(c) {
			return fmt.Errorf("topic name %q has %q in it; letters, digits, '.', '_' and '-' may be", name, c)
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '.' || c == '_' || c == '-'
}
