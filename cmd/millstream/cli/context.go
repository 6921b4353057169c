package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"
)

func (s *shell) contextCommand() *urfave.Command {
	return &urfave.Command{
		Name: "context", Usage: "name the clusters that commands talk to",
		Description: "A context is a name for the addresses of a cluster's doors: commands use the gRPC door, doctor the HTTP door,\n" +
			"bench the one that it measures. Commands without an address of their own use the context that --context names,\n" +
			"or else MILLSTREAM_CONTEXT, or else the current one. They are kept in millstream/contexts.yaml below\n" +
			"XDG_CONFIG_HOME, or else below ~/.config.",
		Subcommands: []*urfave.Command{
			{
				Name: "add", Usage: "name a cluster", ArgsUsage: "NAME", Action: s.contextAdd,
				Flags: []urfave.Flag{
					&urfave.StringFlag{Name: "kafka", Usage: "Kafka `ADDRESS` of one or more members, by commas"},
					&urfave.StringFlag{Name: "grpc", Usage: "`ADDRESS` of a gRPC door"},
					&urfave.StringFlag{Name: "http", Usage: "`ADDRESS` of an HTTP door"},
					&urfave.BoolFlag{Name: "use", Usage: "also make it the current one"},
					&urfave.BoolFlag{Name: "replace", Usage: "in the place of one that is there"},
				},
			},
			{Name: "ls", Usage: "list the contexts", Action: s.contextList, Flags: []urfave.Flag{outputFlag()}},
			{
				Name: "use", Usage: "make a context the current one", ArgsUsage: "NAME", Action: s.contextUse,
				Flags: []urfave.Flag{&urfave.BoolFlag{Name: "none", Usage: "have no current one any more"}},
			},
			{Name: "rm", Usage: "forget contexts", ArgsUsage: "NAME...", Action: s.contextRemove},
		},
		Action: func(c *urfave.Context) error { return urfave.ShowSubcommandHelp(c) },
	}
}

func (s *shell) contextAdd(c *urfave.Context) error {
	name, err := oneArgument(c, "NAME")
	if err != nil {
		return err
	}
	p := place{Kafka: c.String("kafka"), GRPC: c.String("grpc"), HTTP: strings.TrimPrefix(c.String("http"), "http://")}
	if p == (place{}) {
		return usage("context add takes at least one address").hint("--grpc host:7070")
	}
	if strings.TrimSpace(name) != name || name == "" {
		return usage("%q is no name of a context", name).hint("a word")
	}
	for flag, value := range map[string]string{"kafka": p.Kafka, "grpc": p.GRPC, "http": p.HTTP} {
		if value == "" {
			continue
		}
		if err := checkAddresses(flag, value); err != nil {
			return err
		}
		if flag != "kafka" && strings.Contains(value, ",") {
			return usage("--%s takes one address", flag).hint("--%s host:port", flag)
		}
	}
	all, err := s.readContexts()
	if err != nil {
		return err
	}
	if _, there := all.Contexts[name]; there && !c.Bool("replace") {
		return fail(exitConflict, fmt.Sprintf("there is a context %q already", name)).hint("--replace, or another name")
	}
	all.Contexts[name] = p
	if c.Bool("use") {
		all.Current = name
	}
	if err := s.writeContexts(all); err != nil {
		return err
	}
	if all.Current == name {
		s.notef("context %s is there and current", name)
	} else {
		s.notef("context %s is there; `millstream context use %s` makes it the current one", name, name)
	}
	return nil
}

// contextRow is one context of `context ls`. Current is the one that commands use from here.
type contextRow struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	Kafka   string `json:"kafka"`
	GRPC    string `json:"grpc"`
	HTTP    string `json:"http"`
}

func (s *shell) contextList(c *urfave.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if err := checkOutput(c.String("output")); err != nil {
		return err
	}
	all, err := s.readContexts()
	if err != nil {
		return err
	}
	rows, current := []contextRow{}, s.named(all)
	l := listing{columns: []string{"current", "name", "kafka", "grpc", "http"}}
	for _, name := range slices.Sorted(maps.Keys(all.Contexts)) {
		p, mark := all.Contexts[name], ""
		if name == current {
			mark = "*"
		}
		rows = append(rows, contextRow{name, name == current, p.Kafka, p.GRPC, p.HTTP})
		l.rows = append(l.rows, []string{mark, name, p.Kafka, p.GRPC, p.HTTP})
		l.names = append(l.names, name)
	}
	l.value = rows
	return s.show(c.String("output"), l)
}

func (s *shell) contextUse(c *urfave.Context) error {
	all, err := s.readContexts()
	if err != nil {
		return err
	}
	if c.Bool("none") {
		if err := noArguments(c); err != nil {
			return err
		}
		all.Current = ""
		return s.writeContexts(all)
	}
	name, err := oneArgument(c, "NAME")
	if err != nil {
		return err
	}
	if _, there := all.Contexts[name]; !there {
		return noSuchContext(all, name)
	}
	all.Current = name
	if v := s.env(contextVariable); v != "" && v != name {
		s.notef("%s=%s goes before it here", contextVariable, v)
	}
	return s.writeContexts(all)
}

func (s *shell) contextRemove(c *urfave.Context) error {
	names := c.Args().Slice()
	if len(names) == 0 {
		return usage("context rm takes at least one NAME").hint("millstream context rm --help")
	}
	all, err := s.readContexts()
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, there := all.Contexts[name]; !there {
			return noSuchContext(all, name) // none goes unless all are known
		}
	}
	for _, name := range names {
		delete(all.Contexts, name)
		if all.Current == name {
			all.Current = ""
			s.notef("there is no current context any more")
		}
	}
	return s.writeContexts(all)
}
