package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/stage"
)

func main() { stage.Main("metrics", run) }

// gone stands for the end of an instance.
var gone = Counter{}

// reports are made up: two metrics of three instances.
var reports = []stage.Pair[string, Counter]{
	stage.P("web-1/requests", Counter{"requests", 10}),
	stage.P("web-2/requests", Counter{"requests", 20}),
	stage.P("web-1/errors", Counter{"errors", 1}),
	stage.P("web-1/requests", Counter{"requests", 15}),
	stage.P("web-3/requests", Counter{"requests", 5}),
	stage.P("web-2/requests", gone),
	stage.P("web-1/errors", Counter{"errors", 4}),
}

// run is the whole program: a Graphite that prints, and the topology that feeds it.
func run(ctx context.Context, out io.Writer) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // lets Accept return
	defer stop()

	topo, err := Metrics(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	})
	if err != nil {
		return err
	}
	show := func(context.Context, *client.Client) error { return printLines(l, out, len(reports)) }
	return stage.Run(ctx, topo, 1, report, show)
}

// report sends the reports, one after the other.
func report(ctx context.Context, c *client.Client) error {
	for _, p := range reports {
		r, err := client.Encode(Counters, p.Key, p.Value)
		if err != nil {
			return err
		}
		if p.Value == gone {
			r.Value = nil // null: a tombstone
		}
		if _, err := c.Produce(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// printLines is Graphite: it takes one connection and prints the first n lines, without their times.
func printLines(l net.Listener, out io.Writer, n int) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for range n {
		if !lines.Scan() {
			return fmt.Errorf("connection of the topology: %w", lines.Err())
		}
		f := strings.Fields(lines.Text())
		fmt.Fprintln(out, "graphite:", f[0], f[1])
	}
	return nil
}
