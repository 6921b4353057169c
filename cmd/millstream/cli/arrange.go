package cli

import (
	"sort"
	"strings"

	urfave "github.com/urfave/cli/v2"
)

// arrange puts a command line into the order that the parser wants: commands, options, `--`, the rest. So
// options may stand anywhere, a value may begin with a minus (`-o -10`), and `-n5` means `-n 5`. Words that
// nobody knows are refused with the nearest known one.
func arrange(app *urfave.App, words []string) ([]string, error) {
	flags, commands := app.Flags, app.Commands
	var out []string
	path := app.Name
	for len(words) > 0 && len(commands) > 0 {
		w := words[0]
		if strings.HasPrefix(w, "-") && w != "-" {
			break
		}
		c := findCommand(commands, w)
		if c == nil {
			return nil, unknownCommand(path, w, commands)
		}
		out, words = append(out, w), words[1:]
		path += " " + w
		flags, commands = c.Flags, visible(c.Subcommands)
		if c.SkipFlagParsing {
			return append(out, words...), nil
		}
	}
	options, rest, err := sortWords(path, flags, words)
	if err != nil {
		return nil, err
	}
	if len(commands) > 0 && len(rest) > 0 {
		return nil, unknownCommand(path, rest[0], commands)
	}
	out = append(out, options...)
	if len(rest) > 0 {
		out = append(append(out, "--"), rest...)
	}
	return out, nil
}

// sortWords parts options, with their values, from the rest.
func sortWords(path string, flags []urfave.Flag, words []string) (options, rest []string, err error) {
	known := flagTable(flags)
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "--" {
			return options, append(rest, words[i+1:]...), nil
		}
		if w == "-" || !strings.HasPrefix(w, "-") {
			rest = append(rest, w)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(w, "-"), "=")
		takesValue, ok := known[name]
		if !ok && !strings.HasPrefix(w, "--") && len(name) > 1 && known[name[:1]] {
			name, value, hasValue = name[:1], strings.TrimPrefix(w, "-")[1:], true
			takesValue, ok = true, true
		}
		switch {
		case !ok:
			return nil, nil, unknownFlag(path, w, known)
		case !takesValue || hasValue:
			options = append(options, flagWord(name, value, hasValue))
		case i+1 == len(words):
			return nil, nil, usage("option %s needs a value", w).hint("%s --help", path)
		default:
			i++
			options = append(options, flagWord(name, words[i], true))
		}
	}
	return options, rest, nil
}

func flagWord(name, value string, hasValue bool) string {
	w := "-" + name
	if len(name) > 1 {
		w = "-" + w
	}
	if hasValue {
		w += "=" + value
	}
	return w
}

// flagTable maps each name of each flag to whether it takes a value.
func flagTable(flags []urfave.Flag) map[string]bool {
	known := make(map[string]bool)
	for _, f := range flags {
		_, isSwitch := f.(*urfave.BoolFlag)
		for _, n := range f.Names() {
			known[n] = !isSwitch
		}
	}
	return known
}

func findCommand(commands []*urfave.Command, name string) *urfave.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// visible leaves out what the parser adds by itself.
func visible(commands []*urfave.Command) []*urfave.Command {
	var out []*urfave.Command
	for _, c := range commands {
		if c.Name != "help" {
			out = append(out, c)
		}
	}
	return out
}

func unknownCommand(path, word string, commands []*urfave.Command) error {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Names()...)
		}
	}
	f := usage("unknown command %q", strings.TrimPrefix(path+" "+word, "millstream ")).
		because("%s knows: %s", path, strings.Join(names, ", ")).hint("%s --help", path)
	if n := nearest(word, names); n != "" {
		f.hint("%s %s", path, n)
	}
	return f
}

func unknownFlag(path, word string, known map[string]bool) error {
	var names []string
	for n := range known {
		if len(n) > 1 {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	f := usage("unknown option %s", strings.SplitN(word, "=", 2)[0]).
		because("%s knows: --%s", path, strings.Join(names, ", --")).hint("%s --help", path)
	if n := nearest(name, names); n != "" {
		f.hint("--%s", n)
	}
	if of, ok := doorOptions[name]; ok && known[of.flag] {
		f.hint("--%s %s, the address of the %s door", of.flag, of.standard, of.noun)
	}
	return f
}

// doorOptions are words for a member's address where a command has another one.
var doorOptions = map[string]door{
	"brokers": grpcDoor, "bootstrap-server": grpcDoor, "grpc": grpcDoor, "server": grpcDoor, "addr": httpDoor,
}
