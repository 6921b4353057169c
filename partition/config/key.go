package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/millstream-io/millstream/proto/fault"
)

// key is one row of the table. A key takes either exactly one of `only` (and is then read-only: all of them
// say the same, the truth), or one of `oneOf`, or a list of some of `parts`, or a number: in [0, 1] for
// TypeDouble, else a whole one in [min, max].
type key struct {
	name     string
	kind     ValueType
	preset   string // the default
	only     []string
	oneOf    []string
	parts    []string
	min, max int64
	why      string // why nothing but `only` is taken; may be empty
	doc      string
	set      func(t *Topic, value string)
}

// accept returns the one spelling of a value that the key takes, or refuses it.
func (k *key) accept(value string) (string, error) {
	switch {
	case k.only != nil:
		return value, k.checkOnly(value)
	case k.oneOf != nil:
		if slices.Contains(k.oneOf, value) {
			return value, nil
		}
		return "", fault.New(fault.InvalidConfig, "topic key %s=%q is none of %s",
			k.name, clip(value), strings.Join(k.oneOf, ", ")).WithHint("nearest is %s", nearest(value, k.oneOf))
	case k.parts != nil:
		return k.acceptList(value)
	case k.kind == TypeDouble:
		f, ok := asRatio(value)
		if !ok {
			return "", fault.New(fault.InvalidConfig, "topic key %s=%q is not a number from 0 to 1",
				k.name, clip(value)).WithHint("the default is %s", k.preset)
		}
		return ratio(f), nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < k.min || n > k.max || value != strconv.FormatInt(n, 10) {
		return "", fault.New(fault.InvalidConfig,
			"topic key %s=%q is not a whole number from %d to %d, this version's bounds",
			k.name, clip(value), k.min, k.max).WithHint("the default is %s", k.preset)
	}
	return value, nil
}

func (k *key) checkOnly(value string) error {
	if slices.Contains(k.only, value) {
		return nil
	}
	why := ""
	if k.why != "" {
		why = ": " + k.why
	}
	return fault.New(fault.InvalidConfig, "topic key %s=%q is not in this version, which takes only %q%s",
		k.name, clip(value), k.only[0], why).WithHint("leave %s out, or set it to %s", k.name, k.only[0])
}

// acceptList puts the parts of a list into the order of the table, each of them once.
func (k *key) acceptList(value string) (string, error) {
	have := split(value)
	for _, part := range have {
		if !slices.Contains(k.parts, part) {
			return "", fault.New(fault.InvalidConfig, "topic key %s=%q: %q is none of %s", k.name, clip(value),
				clip(part), strings.Join(k.parts, ", ")).WithHint("nearest is %s", nearest(part, k.parts))
		}
	}
	if len(have) == 0 {
		return "", fault.New(fault.InvalidConfig, "topic key %s=%q is empty, it takes one or more of %s", k.name,
			clip(value), strings.Join(k.parts, ", ")).WithHint("the default is %s", k.preset)
	}
	var list []string
	for _, part := range k.parts {
		if slices.Contains(have, part) {
			list = append(list, part)
		}
	}
	return strings.Join(list, ","), nil
}

// asRatio reads a number from 0 to 1.
func asRatio(value string) (float64, bool) {
	f, err := strconv.ParseFloat(value, 64)
	return f + 0, err == nil && f >= 0 && f <= 1 // + 0 makes a zero of minus zero
}

func ratio(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// atLeast0 reads a number of milliseconds; what cannot be read is the default.
func atLeast0(value string, preset int64) int64 {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 {
		return n
	}
	return preset
}
