package main

import (
	"iter"
	"strings"
	"unicode"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// The topics.
var (
	Lines  = topology.NewTopic("lines", serde.String, serde.String)
	Counts = topology.NewTopic("word-counts", serde.String, serde.Int64)
)

// PerWord keeps the count of each word.
var PerWord = topology.KV("per-word", serde.String, serde.Int64)

// words yields the words of a line, in small letters.
func words(line string) iter.Seq[string] {
	return strings.FieldsFuncSeq(strings.ToLower(line), func(r rune) bool { return !unicode.IsLetter(r) })
}

// WordCount is the topology.
func WordCount() (*topology.Topology, error) {
	b := topology.NewBuilder("word-count")
	split := topology.FlatMapValues(topology.From(b, Lines), words)
	byWord := topology.GroupBy(split, serde.String, func(_, word string) string { return word })
	byWord.Count(PerWord).ToStream().To(Counts)
	return b.Build()
}
