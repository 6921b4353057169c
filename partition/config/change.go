package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/millstream-io/millstream/proto/fault"
)

// Verb says what an Op does to its key; numbers as in Kafka's IncrementalAlterConfigs.
type Verb int8

// The verbs. Append and Subtract are for keys that hold a list: they add the parts of a value that are not
// in it yet, or take those away that are.
const (
	Set      Verb = 0
	Delete   Verb = 1
	Append   Verb = 2
	Subtract Verb = 3
)

// Op changes one key of a topic. Value is not read by Delete, and must be there for all others.
type Op struct {
	Key   string
	Verb  Verb
	Value *string
}

// Change is what operations come to on one topic. Replace says that what was set before goes, whatever its
// key. Set and Delete never name the same key; Delete is sorted.
type Change struct {
	Replace bool
	Set     map[string]string
	Delete  []string
}

// Plan makes the change that ops ask of a topic, or refuses all of them. With replace, what is not set again
// goes back to its default. Keys that ops do not name are not judged: a value of another build stays. It
// reports all faults at once, up to 20 in the order of ops. Errors: fault.InvalidConfig; fault.InvalidRequest
// for a key that stands in it twice, a value that is missing, and a verb that there is not.
func Plan(t Topic, ops []Op, replace bool) (Change, error) {
	c := Change{Replace: replace, Set: map[string]string{}}
	seen := make(map[string]bool, len(ops))
	var faults []error
	for _, op := range ops {
		if len(faults) == mostFaults {
			break
		}
		if seen[op.Key] {
			return Change{}, fault.New(fault.InvalidRequest, "topic key %q stands in the request twice", clip(op.Key)).
				WithHint("name each key once")
		}
		seen[op.Key] = true
		value, err := op.result(t)
		switch {
		case fault.CodeOf(err) == fault.InvalidRequest:
			return Change{}, err
		case err != nil:
			faults = append(faults, err)
		case op.Verb == Delete:
			c.Delete = append(c.Delete, op.Key)
		default:
			c.Set[op.Key] = value
		}
	}
	if err := c.check(t); err != nil && len(faults) == 0 {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return Change{}, joined(faults)
	}
	slices.Sort(c.Delete)
	return c, nil
}

// check refuses a change after which settings do not go together, where it is about one of them.
func (c Change) check(t Topic) error {
	about := c.Replace
	for _, key := range []string{KeyFlushPolicy, KeyFlushMs, KeyFlushMessages, KeyCleanupPolicy} {
		_, set := c.Set[key]
		about = about || set || slices.Contains(c.Delete, key)
	}
	if !about {
		return nil
	}
	after := Stored(c.Apply(t.Overrides))
	return after.check()
}

// Apply returns the settings that a change makes of those before, nil for none. It refuses nothing, and
// leaves both as they are.
func (c Change) Apply(before map[string]string) map[string]string {
	after := make(map[string]string, len(before)+len(c.Set))
	if !c.Replace {
		maps.Copy(after, before)
	}
	for _, key := range c.Delete {
		delete(after, key)
	}
	maps.Copy(after, c.Set)
	if len(after) == 0 {
		return nil
	}
	return after
}

// result is the value that the key has after op; it means nothing for Delete.
func (op Op) result(t Topic) (string, error) {
	k, known := keyNamed(op.Key)
	_, set := t.Overrides[op.Key]
	switch {
	case op.Verb < Set || op.Verb > Subtract:
		return "", fault.New(fault.InvalidRequest, "operation %d on topic key %q is unknown", op.Verb, clip(op.Key)).
			WithHint("0 sets, 1 deletes, 2 appends, 3 subtracts")
	case op.Verb != Delete && op.Value == nil:
		return "", fault.New(fault.InvalidRequest, "topic key %q has no value in the request", clip(op.Key)).
			WithHint("give it one, or delete the key to get its default")
	case op.Verb == Delete && (known || set): // also a key that only another build knows
		return "", nil
	case !known:
		return "", unknownKey(op.Key)
	case op.Verb == Set:
		return k.accept(*op.Value)
	case k.kind != TypeList:
		return "", fault.New(fault.InvalidConfig, "topic key %s holds no list, so nothing can be appended to it or "+
			"subtracted from it", k.name).WithHint("set it instead")
	}
	return k.accept(k.edited(t, op))
}

// edited is the list that Append or Subtract makes of what the topic has.
func (k *key) edited(t Topic, op Op) string {
	is := k.preset
	if v, ok := t.Overrides[k.name]; ok {
		is = v
	}
	have, change := split(is), split(*op.Value)
	if op.Verb == Subtract {
		have = slices.DeleteFunc(have, func(s string) bool { return slices.Contains(change, s) })
		return strings.Join(have, ",")
	}
	for _, s := range change {
		if !slices.Contains(have, s) {
			have = append(have, s)
		}
	}
	return strings.Join(have, ",")
}

// split takes a list apart: parts between commas, without what is empty.
func split(list string) []string {
	var parts []string
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s != "" {
			parts = append(parts, s)
		}
	}
	return parts
}
