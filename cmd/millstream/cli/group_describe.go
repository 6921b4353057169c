package cli

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
)

// groupDetail is one group of `group describe`. Journal is why it rebalanced, oldest first, as far as its coordinator
// remembers.
type groupDetail struct {
	Name        string          `json:"name"`
	State       string          `json:"state"`
	Type        string          `json:"type"`
	Protocol    string          `json:"protocol"`
	Coordinator record.MemberID `json:"coordinator"`
	Members     []groupMember   `json:"members"`
	Journal     []journalLine   `json:"journal"`
}

// groupMember is one member: instance is empty for a dynamic one.
type groupMember struct {
	ID         string                        `json:"id"`
	Instance   string                        `json:"instance"`
	Client     string                        `json:"client"`
	Host       string                        `json:"host"`
	Partitions map[string][]record.Partition `json:"partitions"`
}

// journalLine is something that happened to a group; member is who caused it, empty for nobody.
type journalLine struct {
	At         time.Time `json:"at"`
	Generation int32     `json:"generation"`
	Member     string    `json:"member"`
	What       string    `json:"what"`
}

func (s *shell) groupDescribeCommand() *urfave.Command {
	return &urfave.Command{
		Name: "describe", Usage: "show a group's state, members, what each of them reads, and why it rebalanced",
		ArgsUsage:   "NAME",
		Description: "Its coordinator remembers the last events while the group has members, and for a while longer.",
		Flags:       []urfave.Flag{outputFlag(), addrFlag(), timeoutFlag()},
		Action:      s.groupDescribe,
	}
}

func (s *shell) groupDescribe(c *urfave.Context) error {
	name, form, err := nameAndForm(c)
	if err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		g, err := groupOf(ctx, cl, name)
		if err != nil {
			return err
		}
		d := detailOf(g)
		l := listing{
			columns: []string{"member", "instance", "client", "host", "partitions"}, names: []string{name}, value: d,
		}
		for _, m := range d.Members {
			l.rows = append(l.rows, []string{m.ID, orDash(m.Instance), orDash(m.Client), m.Host, orDash(m.reads())})
		}
		if form != "table" {
			return s.show(form, l)
		}
		fmt.Fprintf(s.Stdout, "group       %s\nstate       %s\ntype        %s\nprotocol    %s\ncoordinator %d\nmembers     %d\n",
			d.Name, d.State, orDash(d.Type), orDash(d.Protocol), d.Coordinator, len(d.Members))
		if len(l.rows) > 0 {
			fmt.Fprintln(s.Stdout)
			if err := s.show(form, l); err != nil {
				return err
			}
		}
		if len(d.Journal) == 0 {
			return nil
		}
		fmt.Fprintln(s.Stdout)
		return s.show(form, journalListing(d.Journal))
	})
}

func detailOf(g client.GroupDescription) groupDetail {
	d := groupDetail{
		Name: g.Name, State: g.State, Type: g.ProtocolType, Protocol: g.Protocol, Coordinator: g.Coordinator,
		Members: []groupMember{}, Journal: []journalLine{}, // empty lists are [] in JSON
	}
	for _, m := range g.Members {
		of := groupMember{
			ID: m.ID, Instance: m.Instance, Client: m.ClientID, Host: m.ClientHost, Partitions: map[string][]record.Partition{},
		}
		for _, p := range m.Partitions {
			of.Partitions[p.Topic] = append(of.Partitions[p.Topic], p.Partition)
		}
		d.Members = append(d.Members, of)
	}
	for _, e := range g.Journal {
		d.Journal = append(d.Journal, journalLine{e.At.UTC(), e.Generation, e.Member, e.What})
	}
	return d
}

// journalListing shows events by their time, here.
func journalListing(events []journalLine) listing {
	l := listing{columns: []string{"at", "generation", "member", "what"}}
	for _, e := range events {
		l.rows = append(l.rows, []string{
			e.At.Local().Format(time.DateTime), strconv.Itoa(int(e.Generation)), orDash(e.Member), oneLine(e.What),
		})
	}
	return l
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
