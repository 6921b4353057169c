package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
)

// The scripts ask the hidden command __complete; it knows commands, options, their values, and asks a member
// for the names of topics.
var completionScripts = map[string]string{
	"bash": `# millstream completion bash: source <(millstream completion bash)
_millstream() {
	local IFS=$'\n'
	COMPREPLY=($(millstream __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _millstream millstream
`,
	"zsh": `#compdef millstream
# millstream completion zsh: source <(millstream completion zsh)
_millstream() {
	local -a found
	found=("${(@f)$(millstream __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	found=(${found:#})
	if (( ${#found} )); then compadd -- "${found[@]}"; else _files; fi
}
compdef _millstream millstream
`,
	"fish": `# millstream completion fish: millstream completion fish | source
complete -c millstream -f -a '(millstream __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}

func (s *shell) completionCommand() *urfave.Command {
	return &urfave.Command{
		Name: "completion", Usage: "print the completion script of a shell", ArgsUsage: "bash|zsh|fish",
		Action: func(c *urfave.Context) error {
			name, err := oneArgument(c, "bash, zsh or fish")
			if err != nil {
				return err
			}
			script, ok := completionScripts[name]
			if !ok {
				return usage("no completion for %q", name).hint("bash, zsh or fish")
			}
			fmt.Fprint(s.Stdout, script)
			return nil
		},
	}
}

func (s *shell) completeCommand() *urfave.Command {
	return &urfave.Command{
		Name: "__complete", Hidden: true, SkipFlagParsing: true,
		Action: func(c *urfave.Context) error {
			for _, w := range s.complete(c.Context, c.App, c.Args().Slice()) {
				fmt.Fprintln(s.Stdout, w)
			}
			return nil
		},
	}
}

// fixedValues are the values of options that have few.
var fixedValues = map[string][]string{
	"output": {"table", "json", "yaml", "name"}, "acks": {"0", "1", "all"},
	"compression": {"none", "gzip", "snappy", "lz4", "zstd"}, "offset": {"start", "end"}, "o": {"start", "end"},
	"to": {"end"}, "door": {"kafka", "grpc"},
}

// complete returns what the last word could become, given the words before it.
func (s *shell) complete(ctx context.Context, app *urfave.App, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last, before := words[len(words)-1], words[:len(words)-1]
	commands, flags := app.Commands, app.Flags
	var command *urfave.Command
	addr, wants := "", ""
	var said []string // of the command's words, those before the last
	for i, w := range before {
		name := strings.TrimLeft(w, "-")
		if strings.HasPrefix(w, "-") {
			if flagTable(flags)[name] && i == len(before)-1 {
				wants = name
			}
			if name == grpcDoor.flag && i+1 < len(before) {
				addr = before[i+1]
			}
			if name == "context" && i+1 < len(before) {
				s.context = before[i+1]
			}
			continue
		}
		if c := findCommand(commands, w); c != nil {
			command, commands, flags = c, visible(c.Subcommands), c.Flags
		} else if i == 0 || !flagTable(flags)[strings.TrimLeft(before[i-1], "-")] || !strings.HasPrefix(before[i-1], "-") {
			said = append(said, w)
		}
	}
	var found []string
	switch {
	case wants == "group" || wants == "g":
		found = s.groupNames(ctx, addr)
	case wants == "context":
		found = s.contextNames()
	case wants != "":
		found = fixedValues[wants]
	case strings.HasPrefix(last, "-"):
		for n := range flagTable(flags) {
			if len(n) > 1 {
				found = append(found, "--"+n)
			}
		}
	case len(commands) > 0:
		for _, c := range commands {
			if !c.Hidden {
				found = append(found, c.Name)
			}
		}
	case command != nil:
		found = s.argumentsOf(ctx, app, command, said, addr)
	}
	return matching(found, last)
}

// argumentsOf is what the next word of a command may be that is no option.
func (s *shell) argumentsOf(
	ctx context.Context, app *urfave.App, command *urfave.Command, said []string, addr string,
) []string {
	within := func(name string) bool { return slices.Contains(app.Command(name).Subcommands, command) }
	switch {
	case command.Name == "completion":
		return []string{"bash", "zsh", "fish"}
	case within("context"):
		return s.contextNames()
	case within("app"):
		return s.appNames(ctx, addr, command, said)
	case within("group"):
		return s.groupNames(ctx, addr)
	case takesTopic(command):
		return s.topicNames(ctx, addr)
	}
	return nil
}

// takesTopic reports whether a command's words are names of topics that are there.
func takesTopic(c *urfave.Command) bool {
	switch c.Name {
	case "consume", "produce", "e2e", "describe", "delete", "add-partitions", "alter", "trim":
		return true
	}
	return false
}

// topicNames asks a member, quickly; no answer is no names.
func (s *shell) topicNames(ctx context.Context, addr string) (names []string) {
	s.quickly(ctx, addr, func(ctx context.Context, cl *client.Client) {
		topics, _ := cl.Topics(ctx)
		for _, t := range topics {
			if !t.Internal {
				names = append(names, t.Name)
			}
		}
	})
	return names
}

// groupNames asks a member like topicNames.
func (s *shell) groupNames(ctx context.Context, addr string) (names []string) {
	s.quickly(ctx, addr, func(ctx context.Context, cl *client.Client) {
		groups, _ := cl.Groups(ctx)
		for _, g := range groups {
			names = append(names, g.Name)
		}
	})
	return names
}

// contextNames are the contexts of the user's file.
func (s *shell) contextNames() []string {
	c, _ := s.readContexts() // a file that cannot be read has no names
	return slices.Sorted(maps.Keys(c.Contexts))
}

// appNames asks a member for what the next word of an app command may be: an application, and for a query then a store.
func (s *shell) appNames(ctx context.Context, addr string, command *urfave.Command, said []string) (names []string) {
	stores := command.Name == "query" && len(said) == 1
	if command.Name == "ls" || len(said) > 0 && !stores {
		return nil
	}
	s.quickly(ctx, addr, func(ctx context.Context, cl *client.Client) {
		if stores {
			d, _ := cl.DescribeApp(ctx, said[0], false)
			for _, st := range d.Stores {
				names = append(names, st.Name)
			}
			return
		}
		apps, _ := cl.Apps(ctx)
		for _, a := range apps {
			names = append(names, a.Name)
		}
	})
	return names
}

// completionTime is how long somebody waits at most who pressed a key; where nobody listens that is told at once.
const completionTime = 2 * time.Second

// quickly asks a member in no more time than somebody waits who pressed a key.
func (s *shell) quickly(ctx context.Context, option string, ask func(context.Context, *client.Client)) {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	addr, err := s.address(option, grpcDoor)
	if err != nil {
		return
	}
	cl, err := dialMember(ctx, addr)
	if err != nil {
		return
	}
	defer cl.Close()
	ask(ctx, cl)
}

func matching(words []string, prefix string) []string {
	var out []string
	for _, w := range words {
		if strings.HasPrefix(w, prefix) {
			out = append(out, w)
		}
	}
	sort.Strings(out)
	return out
}
