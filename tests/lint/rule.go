package lint

import "fmt"

// finding is one breach of one rule. subject names the thing inside the file without line numbers, so that an
// exception in the ratchet survives unrelated edits; what is for the reader.
type finding struct {
	rule    string
	path    string
	subject string
	what    string
}

func (f finding) key() string { return f.rule + " " + f.path + " " + f.subject }

func (f finding) String() string {
	return fmt.Sprintf("%s: %s [%s %s]", f.path, f.what, f.rule, f.subject)
}

// rule looks at all sources at once and says what breaks it. why is printed with the findings.
type rule struct {
	name  string
	why   string
	check func(all []*source) []finding
}

// rules is every rule that works on syntax.
func rules() []rule {
	return []rule{
		{"import-order", "proto ← state ← {partition | topology} ← actors ← cluster ← cmd", each(importOrder)},
		{"only-importer", "a library or an inner package has one owner", each(onlyImporter)},
		{"kinds-apart", "actor kinds meet in messages, never by import", each(kindsApart)},
		{"function-length", "a function fits on a screen: at most 70 lines", each(functionLength)},
		{"file-length", "a file holds one idea: at most 600 lines", each(fileLength)},
		{"file-name", "a file is named for its idea", each(fileName)},
		{"documented", "every exported identifier says what it is", each(documented)},
		{"doc-go", "every package says what it owns in doc.go", docGo},
		{"goroutine-place", "goroutines live where somebody waits for them", each(goroutinePlace)},
		{"pure-core", "a core has no clock, no I/O, no goroutine, no lock, no global randomness", each(pureCore)},
		{"plain-actor", "an actor has no lock, no channel, no sleep, no goroutine", each(plainActor)},
		{"no-sleep", "a test waits for a named fact, it does not sleep", each(noSleep)},
		{"environment", "nothing below cmd reads the environment", each(environment)},
		{"process-wide", "a library that is embedded touches nothing process-wide", each(processWide)},
		{"panic-place", "panic is for broken invariants, through must", each(panicPlace)},
		{"unfinished", "what is unfinished is left out, not marked", each(unfinished)},
	}
}

// each lifts a rule about one file to all files.
func each(check func(*source) []finding) func([]*source) []finding {
	return func(all []*source) []finding {
		var out []finding
		for _, s := range all {
			out = append(out, check(s)...)
		}
		return out
	}
}
