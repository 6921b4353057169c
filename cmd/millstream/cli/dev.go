package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster"
)

func (s *shell) devCommand() *urfave.Command {
	return &urfave.Command{
		Name: "dev", Usage: "everything in one command: a member to try things on",
		Description: "Topics are made on first use. Without --data everything is gone when the command ends.",
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "demo", Usage: "show a topology at work on a book"},
			&urfave.StringFlag{Name: "data", Usage: "keep the log in `DIR`"},
			&urfave.StringFlag{Name: "kafka", Value: defaultBrokers,
				Usage: "`ADDRESS` of the Kafka door; a free port is taken if the default one is in use"},
			&urfave.StringFlag{Name: "grpc", Value: defaultGRPC,
				Usage: "`ADDRESS` of the gRPC door, or nothing; a free port as with kafka"},
			&urfave.StringFlag{Name: "http", Value: defaultHTTP,
				Usage: "`ADDRESS` of metrics, health and profiles, or nothing; a free port as with kafka"},
			&urfave.BoolFlag{Name: "insecure",
				Usage: "allow an address beyond loopback: anybody may then read and write"},
			&urfave.BoolFlag{Name: "verbose", Usage: "also log what changes inside"},
		},
		Action: s.dev,
	}
}

func (s *shell) dev(c *urfave.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	begin := time.Now()
	m, err := s.startDev(c)
	if err != nil {
		return err
	}
	s.greet(m, c.String("data"), time.Since(begin))
	if c.Bool("demo") {
		err = s.demo(c.Context, m)
	} else {
		s.suggest(m, "Try in another terminal:",
			"millstream produce lines         # every line you type is a record",
			"millstream consume lines", "millstream topic ls")
		<-c.Context.Done()
	}
	s.notef("\nstopping …")
	if closeErr := m.Close(); closeErr != nil {
		err = errors.Join(err, fail(exitFailure, "the member did not stop in good order").because("%v", closeErr))
	}
	return err
}

// startDev starts the member; when nobody asked for a certain port and the default one is taken, it takes a
// free one.
func (s *shell) startDev(c *urfave.Context) (*cluster.Member, error) {
	level := slog.LevelWarn
	if c.Bool("verbose") {
		level = slog.LevelDebug
	}
	config := cluster.Config{
		DataDir: c.String("data"), Kafka: c.String("kafka"), GRPC: c.String("grpc"), HTTP: c.String("http"),
		Insecure: c.Bool("insecure"), AutoCreateTopics: true,
		Logger: slog.New(slog.NewTextHandler(s.Stderr, &slog.HandlerOptions{Level: level})),
	}
	if err := config.Validate(); err != nil {
		return nil, usage("these options do not hold").because("%v", err)
	}
	m, err := cluster.Start(c.Context, config)
	for err != nil {
		taken := addressOf(err)
		switch {
		case taken == config.Kafka && !c.IsSet("kafka"):
			config.Kafka = freePort
		case taken == config.GRPC && !c.IsSet("grpc"):
			config.GRPC = freePort
		case taken == config.HTTP && !c.IsSet("http"):
			config.HTTP = freePort
		default:
			return nil, notStarted(c.Context, err)
		}
		s.notef("%s is in use: taking a free port", taken)
		m, err = cluster.Start(c.Context, config)
	}
	return m, nil
}

// freePort is an address of which the port is chosen by the system.
const freePort = "127.0.0.1:0"

func addressTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// addressOf is the address that was taken, or empty where that was not the reason.
func addressOf(err error) string {
	var op *net.OpError
	if addressTaken(err) && errors.As(err, &op) && op.Addr != nil {
		return op.Addr.String()
	}
	return ""
}

func (s *shell) greet(m *cluster.Member, data string, took time.Duration) {
	kept := "gone when this ends; --data DIR keeps it"
	if data != "" {
		kept = "kept"
	}
	s.notef("Millstream: one member, ready in %s", took.Round(time.Millisecond))
	s.notef("  Kafka  %s", m.KafkaAddr())
	if addr := m.GRPCAddr(); addr != "" {
		s.notef("  gRPC   %s", addr)
	}
	if addr := m.HTTPAddr(); addr != "" {
		s.notef("  HTTP   http://%s/metrics  /healthz  /readyz  /debug/pprof/", addr)
	}
	s.notef("  data   %s (%s)\n", m.DataDir(), kept)
}

// suggest prints commands as they can be typed here: with the addresses of the member's doors if they are not the usual
// ones, and with `go run` if this process was started so. Without a gRPC door it leaves out what needs one.
func (s *shell) suggest(m *cluster.Member, title string, commands ...string) {
	s.notef("%s", title)
	for _, c := range commands {
		c = strings.ReplaceAll(c, defaultBrokers, m.KafkaAddr())
		if words, ok := strings.CutPrefix(c, "millstream "); ok {
			c = programName(s.Args[0]) + " " + words
			switch m.GRPCAddr() {
			case defaultGRPC:
			case "":
				continue
			default:
				c = grpcDoor.variable + "=" + m.GRPCAddr() + " " + c
			}
		}
		s.notef("  %s", c)
	}
	if m.GRPCAddr() == "" {
		s.notef("  (the commands of %s need the gRPC door, which --grpc \"\" has closed)", programName(s.Args[0]))
	}
	s.notef("Ctrl-C ends it.")
}

// programName is how the program was called; what `go run` builds lives in a temporary directory that nobody
// types.
func programName(arg0 string) string {
	if strings.Contains(arg0, "go-build") {
		return "go run ./cmd/millstream"
	}
	if strings.HasPrefix(arg0, ".") {
		return arg0
	}
	if i := strings.LastIndexByte(arg0, os.PathSeparator); i >= 0 {
		return arg0[i+1:]
	}
	return arg0
}

// waitOr waits for a duration, or until the context ends; it reports whether the context is still on.
func waitOr(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
