package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/partition/machine/group"
)

// groupDetail is one group of `group describe`.
type groupDetail struct {
	Name        string        `json:"name"`
	State       string        `json:"state"`
	Type        string        `json:"type"`
	Protocol    string        `json:"protocol"`
	Coordinator int32         `json:"coordinator"`
	Members     []groupMember `json:"members"`

	// Journal is why it rebalanced, oldest first: null where the coordinator's HTTP door was not asked.
	Journal []cluster.GroupEvent `json:"journal"`
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
		Description: "With --addr also why the group rebalanced: its coordinator remembers the last " +
			"events while the group has members.",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "addr",
				Usage: "`ADDRESS` of the HTTP door of the group's coordinator (or MILLSTREAM_HTTP_LISTEN)"},
			outputFlag(), brokersFlag(), timeoutFlag(),
		},
		Action: s.groupDescribe,
	}
}

func (s *shell) groupDescribe(c *urfave.Context) error {
	name, form, err := nameAndForm(c)
	if err != nil {
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
			m := memberOf(g.ProtocolType, &g.Members[i])
			d.Members = append(d.Members, m)
			l.rows = append(l.rows, []string{m.ID, orDash(m.Instance), orDash(m.Client), m.Host, orDash(m.reads())})
		}
		var untold string
		if form != "name" {
			d.Journal, untold = s.groupJournal(ctx, c.String("addr"), c.String("brokers"), name)
		}
		l.value = d
		if form != "table" {
			if untold != "" && c.String("addr") != "" {
				s.notef("%s", untold)
			}
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
		if untold != "" {
			s.notef("%s", untold)
		}
		if len(d.Journal) == 0 {
			return nil
		}
		fmt.Fprintln(s.Stdout)
		return s.show(form, journalListing(d.Journal))
	})
}

// groupJournal asks the HTTP door at addr, or where MILLSTREAM_HTTP_LISTEN or the context says, why a group rebalanced. What
// is not told has a reason; an empty journal of a door that answered is not nil.
func (s *shell) groupJournal(ctx context.Context, addr, brokers, name string) (events []cluster.GroupEvent, untold string) {
	if addr == "" {
		addr = s.httpKnown(brokers)
	}
	if addr == "" {
		return nil, "why it rebalanced is told by the HTTP door of its coordinator: --addr ADDRESS"
	}
	const not = "why it rebalanced is not told: "
	e := &examination{ctx: ctx, addr: addr}
	code, text, err := e.get("/groups/" + url.PathEscape(name))
	if err != nil {
		return nil, not + "no member answers at " + addr + ": " + oneLine(err.Error())
	}
	var r cluster.GroupReport
	if code != http.StatusOK {
		return nil, not + oneLine(strings.TrimSpace(text))
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Name != name || r.Journal == nil {
		return nil, not + addr + " answers, but not as a member does"
	}
	return r.Journal, ""
}

// journalListing shows events by their time, here.
func journalListing(events []cluster.GroupEvent) listing {
	l := listing{columns: []string{"at", "generation", "member", "what"}}
	for _, e := range events {
		l.rows = append(l.rows, []string{
			e.At.Local().Format(time.DateTime), strconv.Itoa(int(e.Generation)), orDash(e.Member), oneLine(e.What),
		})
	}
	return l
}

func memberOf(protocolType string, g *kadm.DescribedGroupMember) groupMember {
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
	if raw, ok := g.Assigned.Raw(); ok {
		parts, _ := group.Assigned(protocolType, raw)
		for _, p := range parts {
			m.Partitions[p.Topic] = append(m.Partitions[p.Topic], int32(p.Partition))
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
