package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/goccy/go-yaml"
	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster"
)

func (s *shell) serverCommand() *urfave.Command {
	return &urfave.Command{
		Name: "server", Usage: "run one member",
		Description: "Options go before the environment (MILLSTREAM_KAFKA_LISTEN and so on), that goes before\n" +
			"the file, and that before the defaults. A termination signal ends the member in good order.",
		Flags:  settingFlags(),
		Action: s.server,
		Subcommands: []*urfave.Command{
			{Name: "check-config", Usage: "say whether the configuration holds", Flags: settingFlags(),
				Action: s.checkConfig},
			{Name: "print-config", Usage: "print the configuration as a file", Action: s.printConfig,
				Flags: append(settingFlags(), &urfave.BoolFlag{
					Name: "origins", Usage: "also where each value comes from",
				})},
		},
	}
}

func (s *shell) server(c *urfave.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	all, err := s.loadSettings(c)
	if err != nil {
		return err
	}
	config, err := typed(all)
	if err != nil {
		return err
	}
	config.member.Logger = s.logger(config)
	m, err := cluster.Start(c.Context, config.member)
	if err != nil {
		return notStarted(c.Context, err)
	}
	<-c.Context.Done()
	config.member.Logger.Info("member stops", "node", uint64(m.ID()))
	if err := m.Close(); err != nil {
		return fail(exitFailure, "the member did not stop in good order").because("%v", err)
	}
	return nil
}

func (s *shell) logger(c *serverConfig) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.logLevel}
	if c.logFormat == "text" {
		return slog.New(slog.NewTextHandler(s.Stderr, o))
	}
	return slog.New(slog.NewJSONHandler(s.Stderr, o))
}

// notStarted tells why a member did not start.
func notStarted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := fail(exitFailure, "the member did not start").because("%v", err)
	if addressTaken(err) {
		f.code = exitConflict
		f.hint("free the port, or name another address: dev has --kafka, --grpc and --http, server --kafka-listen, --grpc-listen and --http-listen")
	}
	return f
}

func (s *shell) checkConfig(c *urfave.Context) error {
	all, err := s.loadSettings(c)
	if err == nil {
		_, err = typed(all)
	}
	if err == nil {
		fmt.Fprintln(s.Stdout, "the configuration holds")
	}
	return err
}

// printConfig prints a file that would give the same configuration.
func (s *shell) printConfig(c *urfave.Context) error {
	all, err := s.loadSettings(c)
	if err != nil {
		return err
	}
	group := ""
	for _, o := range all {
		prefix, name, nested := strings.Cut(o.key, ".")
		if !nested {
			prefix, name = "", o.key
		}
		if prefix != group && nested {
			fmt.Fprintf(s.Stdout, "%s:\n", prefix)
		}
		group = prefix
		line := name + ": " + yamlScalar(o.given)
		if nested {
			line = "  " + line
		}
		if c.Bool("origins") {
			line = fmt.Sprintf("%-44s # %s", line, o.from)
		}
		fmt.Fprintln(s.Stdout, line)
	}
	return nil
}

// yamlScalar writes a value so that it reads back as the same text; numbers and booleans stay bare.
func yamlScalar(v string) string {
	if v == "true" || v == "false" || v != "" && strings.Trim(v, "0123456789") == "" {
		return v
	}
	b, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%q", v)
	}
	return strings.TrimSpace(string(b))
}
