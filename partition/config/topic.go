package config

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// Topic is the parsed configuration of one topic. Overrides holds only what was set, as it was set. It is
// immutable: who wants another one makes it with Parse, or with the settings of a Change. The zero Topic
// keeps nothing: begin with Default.
type Topic struct {
	MaxMessageBytes   int
	LogAppendTime     bool
	TimestampBeforeMs int64 // how far a producer's timestamp may lie before the clock, Unbounded for any
	TimestampAfterMs  int64 // and behind it
	RetentionMs       int64 // milliseconds, KeepAll for ever, which it is without delete; never 0, which is set as 1
	RetentionBytes    int64 // of one partition, KeepAll for all, likewise; never 0, which is set as 1
	Compact           bool  // of each key the newest record stays, and every record must have one
	MinLagMs          int64 // age below which compaction leaves records alone
	DeleteRetentionMs int64 // how long null values outlive the compaction that has reached them
	DirtyRatio        float64
	FlushMs           int64 // records are acknowledged before they are durable, by so many ms at most; 0: never
	Overrides         map[string]string

	keep    bool  // nothing goes by age or size: delete is not in the policy
	relaxed bool  // flush.policy=interval
	flushMs int64 // as it was set; 0 where it was not, or cannot be meant so
}

// Default is the configuration of a topic on which nothing was set.
func Default() Topic {
	return Topic{
		MaxMessageBytes: DefaultMaxMessageBytes, RetentionMs: KeepAll, RetentionBytes: KeepAll,
		TimestampBeforeMs: Unbounded, TimestampAfterMs: DefaultTimestampAfterMs,
		DeleteRetentionMs: DefaultDeleteRetentionMs, DirtyRatio: DefaultDirtyRatio,
	}
}

// Parse checks the settings of a request against the table. A nil value means the default, as if the key
// was not there. It reports all faults at once, up to 20 in the order of the keys, as one
// fault.InvalidConfig.
func Parse(settings map[string]*string) (Topic, error) {
	t := Default()
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if len(faults) == mostFaults {
			break
		}
		value := settings[name]
		k, ok := keyNamed(name)
		if !ok {
			faults = append(faults, unknownKey(name))
			continue
		}
		if value == nil {
			continue
		}
		accepted, err := k.accept(*value)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		t.override(k, accepted)
	}
	if err := t.check(); err != nil && len(faults) < mostFaults {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return Topic{}, joined(faults)
	}
	t.settle()
	return t, nil
}

// check refuses settings that do not go together.
func (t *Topic) check() error {
	if !t.relaxed {
		return nil
	}
	with := KeyFlushPolicy + "=" + flushInterval
	switch ms, set := t.Overrides[KeyFlushMs]; {
	case t.Compact:
		return fault.New(fault.InvalidConfig, "%s does not go with %s=%s: what compaction drops must not hang on records that a "+
			"power cut can take", with, KeyCleanupPolicy, t.Overrides[KeyCleanupPolicy]).
			WithHint("set %s=%s, or leave compact out", KeyFlushPolicy, flushDurable)
	case set && t.flushMs == 0:
		return fault.New(fault.InvalidConfig, "topic key %s=%s with %s is not from 1 to %d", KeyFlushMs, ms, with, MaxFlushMs).
			WithHint("the default is %d", DefaultFlushMs)
	case t.Overrides[KeyFlushMessages] == "1":
		return fault.New(fault.InvalidConfig, "%s=1 and %s contradict each other", KeyFlushMessages, with).
			WithHint("leave one of them out")
	}
	return nil
}

// Stored makes a configuration of settings that were accepted once and come out of the log or a snapshot.
// Nothing is refused: a value that this build cannot read is kept in Overrides and counts as the default.
// It keeps the map.
func Stored(settings map[string]string) Topic {
	t := Default()
	t.Overrides = settings
	for _, k := range keys {
		if v, ok := settings[k.name]; ok && k.set != nil {
			k.set(&t, v)
		}
	}
	t.settle()
	return t
}

// settle takes retention back where the policy does not ask for it, and keeps a topic durable of which two changes
// at the same time have made what check refuses.
func (t *Topic) settle() {
	if t.relaxed && !t.Compact {
		t.FlushMs = DefaultFlushMs
		if t.flushMs > 0 {
			t.FlushMs = t.flushMs
		}
	}
	if t.keep {
		t.RetentionMs, t.RetentionBytes = KeepAll, KeepAll
	}
}

// Class is the retention class that new entries of the topic go to: records that live for hours do not
// share buckets with those that live for days, so that whole buckets become free early, and what is
// compacted is rewritten apart from both. What may be acknowledged before it is durable is apart from all of them.
func (t Topic) Class() state.Class {
	if t.FlushMs > 0 {
		return state.ClassRelaxed
	}
	if t.Compact {
		return state.ClassCompact
	}
	if t.RetentionMs >= 0 && t.RetentionMs <= shortRetention.Milliseconds() {
		return state.ClassShort
	}
	return state.ClassLong
}

// Deletes reports whether records may go by age, by size and on request: cleanup.policy holds delete.
func (t Topic) Deletes() bool { return !t.keep }

// Describe lists every key of the table for a topic, in the order of the table, with value, default and
// source.
func Describe(t Topic) []Entry {
	entries := make([]Entry, 0, len(keys))
	for _, k := range keys {
		e := Entry{
			Key: k.name, Value: k.preset, Default: k.preset, Source: SourceDefault,
			Type: k.kind, ReadOnly: k.only != nil, Doc: k.doc,
		}
		if k.name == KeyFlushMs && t.FlushMs > 0 {
			e.Default = strconv.Itoa(DefaultFlushMs)
			e.Value = e.Default
		}
		if v, ok := t.Overrides[k.name]; ok {
			e.Value, e.Source = v, SourceTopic
		}
		entries = append(entries, e)
	}
	return entries
}

func (t *Topic) override(k *key, value string) {
	if t.Overrides == nil {
		t.Overrides = map[string]string{}
	}
	t.Overrides[k.name] = value
	if k.set != nil {
		k.set(t, value)
	}
}

// mostFaults bounds how many faults of one request are told, and how long it takes to find them.
const mostFaults = 20

// joined makes one refusal of several: its message carries all of theirs.
func joined(faults []error) error {
	if len(faults) == 1 {
		return faults[0]
	}
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = f.Error()
	}
	return fault.New(fault.InvalidConfig, "%d settings are refused: %s", len(faults), strings.Join(texts, "; "))
}

// kept reads how much a topic keeps. To keep nothing is to keep 1, since nothing is as small; what cannot be
// read keeps all.
func kept(value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil || n < 0:
		return KeepAll
	case n == 0:
		return 1
	}
	return n
}

// keptFor reads a time in milliseconds, as kept does. What a time.Duration cannot count, 292 years, is for
// ever.
func keptFor(value string) int64 {
	n := kept(value)
	if n > math.MaxInt64/int64(time.Millisecond) {
		return KeepAll
	}
	return n
}

// atoi reads a decimal that Parse has accepted before; what a later build wrote otherwise gives ok = false.
func atoi(s string) (n int, ok bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil
}
