package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/app"
	"github.com/millstream-io/millstream/cluster/client"
)

func (s *shell) appDescribeCommand() *urfave.Command {
	return &urfave.Command{
		Name: "describe", Usage: "show an application's sub-topologies, stores and tasks, and how far they are behind",
		ArgsUsage: "NAME",
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "rows", Usage: "count the rows of its stores, which reads all of them"},
			outputFlag(), addrFlag(), timeoutFlag(),
		},
		Action: func(c *urfave.Context) error {
			return s.describeApp(c, c.Bool("rows"), func(form string, d app.Description) error {
				if form != "table" {
					return s.show(form, listing{names: []string{d.Name}, value: d})
				}
				return s.showApp(d)
			})
		},
	}
}

func (s *shell) appTasksCommand() *urfave.Command {
	return &urfave.Command{
		Name: "tasks", Usage: "list an application's tasks: state, lag, and why one does not run", ArgsUsage: "NAME",
		Flags: []urfave.Flag{outputFlag(), addrFlag(), timeoutFlag()},
		Action: func(c *urfave.Context) error {
			return s.describeApp(c, false, func(form string, d app.Description) error {
				return s.show(form, tasksListing(d.Tasks))
			})
		},
	}
}

func (s *shell) describeApp(c *urfave.Context, rows bool, show func(form string, d app.Description) error) error {
	name, form, err := nameAndForm(c)
	if err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		d, err := cl.DescribeApp(ctx, name, rows)
		if err != nil {
			return refused(fmt.Sprintf("application %q could not be described", name), err)
		}
		return show(form, d)
	})
}

// showApp shows a description for the eye.
func (s *shell) showApp(d app.Description) error {
	fmt.Fprintf(s.Stdout, "application %s\nstate       %s\ntasks       %d\nlag         %s\n\n", d.Name, d.State, len(d.Tasks),
		count(d.LagRecords, "record"))
	subs := listing{columns: []string{"sub-topology", "tasks", "inputs", "outputs", "stores"}}
	for _, sub := range d.Subs {
		subs.rows = append(subs.rows, []string{
			strconv.Itoa(sub.ID), strconv.Itoa(sub.Tasks), orDash(strings.Join(sub.Inputs, ",")),
			orDash(strings.Join(sub.Outputs, ",")), orDash(strings.Join(sub.Stores, ",")),
		})
	}
	if err := s.show("table", subs); err != nil {
		return err
	}
	if len(d.Stores) > 0 {
		fmt.Fprintln(s.Stdout)
		if err := s.show("table", storesListing(d)); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.Stdout)
	return s.show("table", tasksListing(d.Tasks))
}

func storesListing(d app.Description) listing {
	l := listing{columns: []string{"store", "kind", "keys", "values", "kept", "changelog"}}
	if d.RowsCounted {
		l.columns = append(l.columns, "rows", "bytes")
	}
	for _, st := range d.Stores {
		kept := "on disk"
		if st.InMemory {
			kept = "in memory"
		}
		row := []string{
			st.Name, st.Kind, orDash(st.KeyFormat), orDash(st.ValueFormat), kept, orDash(st.Changelog),
		}
		if d.RowsCounted {
			row = append(row, strconv.FormatInt(st.Rows, 10), strconv.FormatInt(st.Bytes, 10))
		}
		l.rows = append(l.rows, row)
	}
	return l
}

func tasksListing(tasks []app.TaskDetail) listing {
	l := listing{columns: []string{"task", "state", "epoch", "restarts", "lag", "state-bytes", "why"}, value: tasks}
	for _, t := range tasks {
		l.names = append(l.names, t.Task.Task)
		l.rows = append(l.rows, []string{
			t.Task.Task, string(t.State), strconv.FormatUint(t.Epoch, 10), strconv.Itoa(t.Restarts),
			strconv.FormatInt(t.LagRecords, 10), strconv.FormatInt(t.StateBytes, 10), orDash(whyOf(t.Task)),
		})
	}
	return l
}

// whyOf says how far a task is restored, or at which record its last life ended and why.
func whyOf(t app.Task) string {
	var parts []string
	for _, r := range t.Restoring {
		parts = append(parts, fmt.Sprintf("store %s is at offset %d of %d", r.Store, r.Next, r.End))
	}
	if t.Error != "" {
		at := ""
		if t.Topic != "" {
			at = fmt.Sprintf("%s/%d@%d: ", t.Topic, t.Partition, t.Offset)
		}
		parts = append(parts, at+oneLine(t.Error))
	}
	return strings.Join(parts, "; ")
}

func (s *shell) appTopologyCommand() *urfave.Command {
	return &urfave.Command{
		Name: "topology", Usage: "draw an application's topology", ArgsUsage: "NAME",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "format", Value: "ascii", Usage: "`FORM` of the drawing: ascii, text, mermaid, dot or json"},
			addrFlag(), timeoutFlag(),
		},
		Action: func(c *urfave.Context) error {
			name, err := oneArgument(c, "NAME")
			if err != nil {
				return err
			}
			form := c.String("format")
			switch form {
			case "ascii", "text", "mermaid", "dot", "json":
			default:
				return usage("unknown form %q for --format", form).hint("ascii, text, mermaid, dot or json")
			}
			return s.member(c, func(ctx context.Context, cl *client.Client) error {
				text, err := cl.DrawApp(ctx, name, form)
				if err != nil {
					return refused(fmt.Sprintf("application %q could not be drawn", name), err)
				}
				fmt.Fprint(s.Stdout, text)
				return nil
			})
		},
	}
}

func (s *shell) appResetCommand() *urfave.Command {
	return &urfave.Command{
		Name: "reset", Usage: "give up all that a stopped application has kept; shows what that is unless --execute",
		ArgsUsage: "NAME",
		Description: "Its repartition topics and changelogs go, and its rows and offsets; its next run begins like the\n" +
			"first one. What it has written to its output topics stays.",
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "execute", Usage: "do it"}, outputFlag(), addrFlag(), timeoutFlag(),
		},
		Action: s.appReset,
	}
}

func (s *shell) appReset(c *urfave.Context) error {
	name, form, err := nameAndForm(c)
	if err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		r, err := cl.ResetApp(ctx, name, c.Bool("execute"))
		if err != nil {
			return refused(fmt.Sprintf("application %q was not reset", name), err)
		}
		l := listing{columns: []string{"what", "name"}, value: r}
		add := func(what, name string) {
			l.names = append(l.names, name)
			l.rows = append(l.rows, []string{what, name})
		}
		for _, t := range r.Topics {
			add("topic", t)
		}
		for _, t := range r.States {
			add("state", t)
		}
		for _, o := range r.Offsets {
			add("offset", fmt.Sprintf("%s/%d@%d", o.Topic, o.Partition, o.Offset))
		}
		if err := s.show(form, l); err != nil {
			return err
		}
		if !r.Done {
			s.notef("nothing was changed: --execute does it")
		}
		return nil
	})
}
