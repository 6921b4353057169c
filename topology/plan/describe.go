package plan

import "time"

// GraphJSON is a graph without code, as JSON writes it.
type GraphJSON struct {
	App          string            `json:"app"`
	DeadLetter   string            `json:"deadLetterTopic"`
	Subs         []SubJSON         `json:"subtopologies"`
	Repartitions []RepartitionJSON `json:"repartitions"`
}

// SubJSON is one sub-topology.
type SubJSON struct {
	ID            int         `json:"id"`
	Nodes         []NodeJSON  `json:"nodes"`
	Stores        []StoreJSON `json:"stores"`
	CoPartitioned [][]string  `json:"coPartitioned"` // topics
}

// NodeJSON is one node. Next is the IDs of those who receive what it emits.
type NodeJSON struct {
	ID       int      `json:"id"`
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Place    string   `json:"place"` // file.go:line
	Topic    string   `json:"topic,omitempty"`
	Internal bool     `json:"internal,omitempty"`
	Dynamic  bool     `json:"dynamic,omitempty"`
	Stores   []string `json:"stores,omitempty"`
	Next     []int    `json:"next"`
}

// StoreJSON is one store. Durations are in milliseconds.
type StoreJSON struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"`
	KeyFormat   string `json:"keyFormat,omitempty"`
	ValueFormat string `json:"valueFormat,omitempty"`
	InMemory    bool   `json:"inMemory"`
	Changelog   string `json:"changelog"`
	RetentionMs int64  `json:"retentionMs,omitempty"`
	WindowMs    int64  `json:"windowMs,omitempty"`
	AdvanceMs   int64  `json:"advanceMs,omitempty"`
}

// RepartitionJSON is one repartition topic, with the IDs of its nodes.
type RepartitionJSON struct {
	Topic      string `json:"topic"`
	Sink       int    `json:"sink"`
	Source     int    `json:"source"`
	Partitions int    `json:"partitions,omitempty"`
}

func describe(g *Graph) GraphJSON {
	out := GraphJSON{App: g.App, DeadLetter: g.DeadLetter, Subs: []SubJSON{}, Repartitions: []RepartitionJSON{}}
	for _, sub := range g.Subs {
		out.Subs = append(out.Subs, describeSub(sub))
	}
	for _, r := range g.Repartitions {
		out.Repartitions = append(out.Repartitions,
			RepartitionJSON{Topic: r.Topic, Sink: r.Sink.ID, Source: r.Source.ID, Partitions: r.Partitions})
	}
	return out
}

func describeSub(sub *Sub) SubJSON {
	out := SubJSON{ID: sub.ID, Stores: []StoreJSON{}, CoPartitioned: [][]string{}}
	for _, n := range sub.Nodes {
		node := NodeJSON{
			ID: n.ID, Name: n.Name, Kind: n.Kind, Place: n.Place(), Topic: n.Topic, Internal: n.Internal,
			Dynamic: n.Dynamic, Stores: storeNames(n.Stores), Next: []int{},
		}
		for _, next := range n.Next {
			node.Next = append(node.Next, next.ID)
		}
		out.Nodes = append(out.Nodes, node)
	}
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	for _, s := range sub.Stores {
		out.Stores = append(out.Stores, StoreJSON{
			Name: s.Name, Kind: s.Kind.String(), KeyFormat: s.KeyFormat, ValueFormat: s.ValueFormat, InMemory: s.InMemory, Changelog: s.Changelog,
			RetentionMs: ms(s.Retention), WindowMs: ms(s.Window), AdvanceMs: ms(s.Advance),
		})
	}
	for _, group := range sub.CoPartitioned {
		var topics []string
		for _, n := range group {
			topics = append(topics, n.Topic)
		}
		out.CoPartitioned = append(out.CoPartitioned, topics)
	}
	return out
}
