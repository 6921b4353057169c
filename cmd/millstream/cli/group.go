package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	urfave "github.com/urfave/cli/v2"
)

func (s *shell) groupCommand() *urfave.Command {
	return &urfave.Command{
		Name: "group", Usage: "list, describe, measure, reset and delete consumer groups",
		Subcommands: []*urfave.Command{
			s.groupListCommand(), s.groupDescribeCommand(), s.groupLagCommand(), s.groupResetCommand(),
			s.groupDeleteCommand(),
		},
		Action: func(c *urfave.Context) error { return urfave.ShowSubcommandHelp(c) },
	}
}

// groupRow is one group of `group ls`.
type groupRow struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Type  string `json:"type"`
}

func (s *shell) groupListCommand() *urfave.Command {
	return &urfave.Command{
		Name: "ls", Usage: "list groups",
		Flags: []urfave.Flag{
			&urfave.StringSliceFlag{Name: "state", Usage: "only groups in `STATE`: stable, empty, …; may be repeated"},
			outputFlag(), brokersFlag(), timeoutFlag(),
		},
		Action: s.groupList,
	}
}

func (s *shell) groupList(c *urfave.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if err := checkOutput(c.String("output")); err != nil {
		return err
	}
	return s.admin(c, func(ctx context.Context, ad *kadm.Client) error {
		groups, err := ad.ListGroups(ctx)
		if err != nil {
			return refused("the groups could not be listed", err, "")
		}
		rows := []groupRow{} // an empty list is [] in JSON
		l := listing{columns: []string{"name", "state", "type"}}
		only := c.StringSlice("state")
		for _, g := range groups.Sorted() {
			wanted := slices.ContainsFunc(only, func(state string) bool { return strings.EqualFold(state, g.State) })
			if len(only) > 0 && !wanted {
				continue
			}
			rows = append(rows, groupRow{g.Group, g.State, g.ProtocolType})
			l.names = append(l.names, g.Group)
			l.rows = append(l.rows, []string{g.Group, g.State, orDash(g.ProtocolType)})
		}
		l.value = rows
		return s.show(c.String("output"), l)
	})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// groupDetail is one group of `group describe`.
type groupDetail struct {
	Name        string        `json:"name"`
	State       string        `json:"state"`
	Type        string        `json:"type"`
	Protocol    string        `json:"protocol"`
	Coordinator int32         `json:"coordinator"`
	Members     []groupMember `json:"members"`
}

// groupMember is one member: instance is empty for a dynamic one.
type groupMember struct {
	ID         string             `json:"id"`
	Instance   string             `json:"instance"`
	Client     string             `json:"client"`
	Host       string             `json:"host"`
	Partitions map[string][]int32 `json:"partitions"`
}

func (s *shell) groupDescribeCommand() *urfave.Command {
	return &urfave.Command{
		Name: "describe", Usage: "show a group's state, members and what each of them reads", ArgsUsage: "NAME",
		Flags:  []urfave.Flag{outputFlag(), brokersFlag(), timeoutFlag()},
		Action: s.groupDescribe,
	}
}

func (s *shell) groupDescribe(c *urfave.Context) error {
	name, err := oneArgument(c, "NAME")
	if err != nil {
		return err
	}
	form := c.String("output")
	if err := checkOutput(form); err != nil {
		return err
	}
	return s.admin(c, func(ctx context.Context, ad *kadm.Client) error {
		g, err := groupOf(ctx, ad, name)
		if err != nil {
			return err
		}
		l := listing{columns: []string{"member", "instance", "client", "host", "partitions"}, names: []string{name}}
		d := groupDetail{
			Name: g.Group, State: g.State, Type: g.ProtocolType, Protocol: g.Protocol, Coordinator: g.Coordinator.NodeID,
			Members: []groupMember{},
		}
		for i := range g.Members {
			m := memberOf(&g.Members[i])
			d.Members = append(d.Members, m)
			l.rows = append(l.rows, []string{m.ID, orDash(m.Instance), orDash(m.Client), m.Host, orDash(m.reads())})
		}
		l.value = d
		if form != "table" {
			return s.show(form, l)
		}
		fmt.Fprintf(s.Stdout, "group       %s\nstate       %s\nprotocol    %s\ncoordinator %d\nmembers     %d\n",
			d.Name, d.State, orDash(d.Protocol), d.Coordinator, len(d.Members))
		if len(l.rows) == 0 {
			return nil
		}
		fmt.Fprintln(s.Stdout)
		return s.show(form, l)
	})
}

func memberOf(g *kadm.DescribedGroupMember) groupMember {
	m := groupMember{ID: g.MemberID, Client: g.ClientID, Host: g.ClientHost, Partitions: map[string][]int32{}}
	if g.InstanceID != nil {
		m.Instance = *g.InstanceID
	}
	if a, ok := g.Assigned.AsConsumer(); ok {
		for _, t := range a.Topics {
			m.Partitions[t.Topic] = append(m.Partitions[t.Topic], t.Partitions...)
			slices.Sort(m.Partitions[t.Topic])
		}
	}
	return m
}

// reads is what a member reads: "orders 0,1; other 2".
func (m groupMember) reads() string {
	var topics []string
	for topic, partitions := range m.Partitions {
		numbers := make([]string, len(partitions))
		for i, p := range partitions {
			numbers[i] = strconv.Itoa(int(p))
		}
		topics = append(topics, topic+" "+strings.Join(numbers, ","))
	}
	sort.Strings(topics)
	return strings.Join(topics, "; ")
}

// groupOf returns one group, or the failure that there is none.
func groupOf(ctx context.Context, ad *kadm.Client, name string) (kadm.DescribedGroup, error) {
	groups, err := ad.DescribeGroups(ctx, name)
	g, ok := groups[name]
	if err == nil && ok {
		err = g.Err
	}
	switch {
	case errors.Is(err, kerr.GroupIDNotFound), err == nil && (!ok || g.State == "Dead"):
		return g, noSuchGroup(name)
	case err != nil:
		return g, refused(fmt.Sprintf("group %q could not be looked up", name), err, g.ErrMessage)
	}
	return g, nil
}

func noSuchGroup(name string) *failure {
	return fail(exitNotFound, fmt.Sprintf("there is no group %q", name)).hint("`millstream group ls`")
}
