package partition_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

var rewrite = flag.Bool("rewrite", false, "accept what the transcripts in testdata say now")

// Goal: what a single voter says to each input is known, effect by effect. Method: scripts in testdata; a
// line that begins with ">" is an input, what follows is what Step said. -rewrite accepts the present
// answers.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playScript(t, string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s differs (run with -rewrite to accept):\n%s", file, got)
			}
		})
	}
}

func playScript(t *testing.T, script string) string {
	p := &player{t: t, now: time.UnixMilli(10_000)}
	var out strings.Builder
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"), line == "":
			out.WriteString(line + "\n")
		case strings.HasPrefix(line, "> "):
			out.WriteString(line + "\n")
			p.out = &out
			p.do(strings.Fields(line[2:]))
		}
	}
	return out.String()
}

// player drives one replica by words, and keeps what it wanted stored.
type player struct {
	t       *testing.T
	now     time.Time
	replica *partition.Replica
	life    state.Incarnation
	config  partition.Config
	tail    state.Tail
	rows    map[uint8][]byte
	entries map[uint64]state.Entry
	writes  map[uint64]state.Write
	pending []uint64 // tokens that have not been persisted
	read    *partition.Read
	spans   *partition.Spans
	compact *partition.Compact
	out     *strings.Builder
}

func (p *player) do(words []string) {
	args := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		args[k] = v
	}
	switch words[0] {
	case "new":
		p.tail, p.rows, p.entries = state.Tail{}, map[uint8][]byte{}, map[uint64]state.Entry{}
		p.config = partition.Config{ID: 1, Name: "text/0", Voters: []record.ReplicaID{1}, SnapshotEntries: number(args["snapshot"])}
		p.config.MaxUncommittedBytes = number(args["uncommitted"])
		p.config.Settings = partition.Settings{Class: state.ClassLong, LogAppendTime: args["time"] == "append"}
		p.config.Machine = nil
		if args["machine"] != "" {
			p.config.Machine = &adder{}
		}
		p.start()
	case "restart":
		if p.config.Machine != nil {
			p.config.Machine = &adder{}
		}
		p.start()
	case "after":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			p.t.Fatal(err)
		}
		p.now = p.now.Add(d)
	case "settle": // persist everything in order until nothing more is to be written
		for len(p.pending) > 0 {
			p.step(p.persisted(nil))
		}
	default:
		p.step(p.input(words[0], args))
	}
}

func (p *player) start() {
	p.life++
	p.config.Incarnation = p.life
	p.config.Tail, p.config.Rows = p.tail, nil
	for _, k := range []uint8{partition.RowTerms, partition.RowProducers, partition.RowMachine, partition.RowClean} {
		if p.rows[k] != nil {
			p.config.Rows = append(p.config.Rows, state.Row{Kind: k, Value: p.rows[k]})
		}
	}
	p.writes, p.pending = map[uint64]state.Write{}, nil
	var err error
	if p.replica, err = partition.New(p.config); err != nil {
		p.t.Fatal(err)
	}
	p.step(partition.Tick{})
}

func (p *player) input(word string, args map[string]string) partition.Input {
	req := partition.ReqID(number(args["req"]))
	deadline := time.Time{}
	if args["within"] != "" {
		d, err := time.ParseDuration(args["within"])
		if err != nil {
			p.t.Fatal(err)
		}
		deadline = p.now.Add(d)
	}
	epoch := record.NoEpoch
	if args["epoch"] != "" {
		epoch = record.Epoch(number(args["epoch"]))
	}
	switch word {
	case "tick":
		return partition.Tick{}
	case "append":
		acks := map[string]int8{"": -1, "all": -1, "1": 1, "0": 0, "7": 7}[args["acks"]]
		return partition.Append{Req: req, Acks: acks, Epoch: epoch, Frame: p.frame(args), Deadline: deadline}
	case "propose":
		f := binary.BigEndian.AppendUint64(make([]byte, state.FrameRoom), uint64(number(args["add"])))
		return partition.Propose{Req: req, Epoch: epoch, Frame: f, Deadline: deadline}
	case "query":
		if args["of"] == "producers" {
			return partition.Query{Req: req, Question: partition.Producers{}, Deadline: deadline}
		}
		return partition.Query{Req: req, Question: "sum", Deadline: deadline}
	case "watch":
		return partition.Watch{Req: req, From: record.Offset(number(args["from"])), MinBytes: number(args["min"]), Deadline: deadline}
	case "cancel":
		return partition.Cancel{Req: req}
	case "configure":
		s := partition.Settings{Class: state.ClassLong, LogAppendTime: args["time"] == "append"}
		switch args["class"] {
		case "compact":
			s.Class = state.ClassCompact
		case "relaxed":
			s.Class, s.FlushMs = state.ClassRelaxed, int64(number(args["flush"]))
		}
		s.RetentionMs, s.RetentionBytes = int64(number(args["ms"])), int64(number(args["bytes"]))
		s.Compact, s.DirtyRatio = args["dirty"] != "", float64(number(args["dirty"]))/100
		s.DeleteRetentionMs, s.MinLagMs = int64(number(args["delete"])), int64(number(args["lag"]))
		return partition.Configure{Settings: s}
	case "persisted":
		return p.persisted(args)
	case "loaded":
		return p.loaded(args)
	case "trim":
		return partition.Trim{Req: req, To: record.Offset(number(args["to"])), Deadline: deadline}
	case "fence":
		return partition.Fence{
			Req: req, Producer: record.ProducerID(number(args["producer"])),
			Epoch: record.ProducerEpoch(number(args["pepoch"])), Deadline: deadline,
		}
	case "measured":
		return p.measured(args)
	case "compacted":
		return p.compacted(args)
	case "damaged":
		return partition.Damaged{Err: fault.New(fault.CorruptRecord, "entry 3 is damaged")}
	case "transfer":
		return partition.TransferLeader{To: record.ReplicaID(number(args["to"]))}
	}
	p.t.Fatalf("unknown input %q", word)
	return nil
}

func (p *player) persisted(args map[string]string) partition.Input {
	if len(p.pending) == 0 {
		p.t.Fatalf("nothing is to be persisted:\n%s", p.out)
	}
	in := partition.Persisted{By: p.life, Token: p.pending[0]}
	if args["err"] != "old" {
		p.pending = p.pending[1:]
	}
	switch args["err"] {
	case "full":
		in.Err = fault.New(fault.DiskFull, "the disk is full")
	case "io":
		in.Err = fault.New(fault.StorageError, "the disk is broken")
	case "old":
		in.By--
	default:
		w := p.writes[in.Token]
		p.tail = w.Tail
		for _, e := range w.Entries {
			p.entries[e.Index] = e
		}
		for _, r := range w.Carried {
			p.rows[r.Kind] = r.Value
		}
	}
	return in
}

func (p *player) loaded(args map[string]string) partition.Input {
	if p.read == nil {
		p.t.Fatalf("nothing was asked to be loaded:\n%s", p.out)
	}
	in := partition.Loaded{By: p.life, Lo: p.read.Lo, Hi: p.read.Hi}
	defer func() { p.read = nil }()
	if args["err"] != "" {
		in.Err = errors.New("unreadable")
		return in
	}
	hi := in.Hi
	if n := uint64(number(args["most"])); n > 0 {
		hi = min(hi, in.Lo+n)
	}
	for i := in.Lo; i < hi; i++ {
		in.Entries = append(in.Entries, p.entries[i])
	}
	return in
}

// measured finds the asked offset in what was persisted. sealed is the last entry of a sealed span; the rest
// is one more.
func (p *player) measured(args map[string]string) partition.Input {
	if p.spans == nil {
		p.t.Fatalf("nothing was asked to be measured:\n%s", p.out)
	}
	in := partition.Measured{By: p.life, From: p.spans.From, Index: p.tail.Last + 1}
	for i := p.tail.Last; i >= p.tail.First && p.entries[i].Last >= p.spans.From; i-- {
		in.Index = i
	}
	if p.spans.Measure {
		var one state.Span
		for i := p.tail.First; i <= p.tail.Last; i++ {
			e := p.entries[i]
			if one.First == 0 {
				one = state.Span{First: i, Base: e.Base}
			}
			one.Last, one.Bytes, one.AppendTimeMs = i, one.Bytes+int64(len(e.Frame)), e.AppendTimeMs
			if one.Sealed = i == uint64(number(args["sealed"])); one.Sealed || i == p.tail.Last {
				in.Spans, one = append(in.Spans, one), state.Span{}
			}
		}
	}
	if args["err"] != "" {
		in.Err, in.Spans = errors.New("unreadable"), nil
	}
	p.spans = nil
	return in
}

// compacted ends a pass that the replica asked for; through is how far it came, else it came to its end.
func (p *player) compacted(args map[string]string) partition.Input {
	if p.compact == nil && args["err"] != "old" {
		p.t.Fatalf("nothing was asked to be compacted:\n%s", p.out)
	}
	in := partition.Compacted{By: p.life, Through: uint64(number(args["through"])), Before: 500, After: 100}
	in.Facts.Waiting = uint64(number(args["waiting"]))
	switch args["err"] {
	case "full":
		in.Err = fault.New(fault.DiskFull, "the disk is full")
	case "memory":
		in.Err = fault.New(fault.ThrottlingQuotaExceeded, "no memory for the keys")
	case "old":
		in.By--
		return in
	}
	p.compact = nil
	return in
}

func (p *player) frame(args map[string]string) []byte {
	f := make([]byte, state.FrameRoom)
	for _, values := range strings.Split(args["v"], "|") {
		var b record.Builder
		if args["producer"] != "" {
			b.Stamp(record.ProducerID(number(args["producer"])), record.ProducerEpoch(number(args["pepoch"])), record.Sequence(number(args["seq"])))
		}
		for _, v := range strings.Split(values, ",") {
			if args["size"] != "" {
				v += strings.Repeat(".", number(args["size"]))
			}
			if err := b.Append(&record.Record{TimestampMs: 5000 + int64(number(args["ts"])), Value: []byte(v)}); err != nil {
				p.t.Fatal(err)
			}
		}
		one, err := b.Build(0, record.CodecNone)
		if err != nil {
			p.t.Fatal(err)
		}
		switch args["as"] {
		case "transactional":
			one[22] |= 0x10
		case "control":
			one[22] |= 0x20
		}
		f = append(f, one...)
	}
	return f
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func (p *player) step(in partition.Input) {
	eff := p.replica.Step(p.now, in)
	say := func(format string, args ...any) { fmt.Fprintf(p.out, "  "+format+"\n", args...) }
	for _, w := range eff.Persist {
		p.writes[w.Token] = w.Write
		p.pending = append(p.pending, w.Token)
		t := w.Write.Tail
		start := ""
		if t.LogStart > 0 {
			start = fmt.Sprintf(" start=%d", t.LogStart)
		}
		within := ""
		if w.Write.Within > 0 {
			within = " within=" + w.Write.Within.String()
		}
		say("persist %d in %s log=[%d,%d]%s term=%d vote=%d commit=%d sync=%v%s", w.Token, w.Class, t.First, t.Last, start, t.Term, t.Vote, t.Commit, w.Write.Sync, within)
		for _, e := range w.Write.Entries {
			say("  entry %d term=%d %s offsets=[%d,%d] at=%d newest=%d bytes=%d", e.Index, e.Term, []string{"", "records", "control", "conf", "trim", "compacted", "clean", "fence"}[e.Type],
				e.Base, e.Next(), e.AppendTimeMs, e.MaxTimestampMs, len(e.Frame)-state.FrameRoom)
		}
		for _, r := range w.Write.Carried {
			say("  row %s", []string{"", "terms", "producers", "machine", "clean"}[r.Kind])
		}
	}
	if eff.Read != nil {
		p.read = eff.Read
		say("read [%d,%d)", p.read.Lo, p.read.Hi)
	}
	if eff.Spans != nil {
		p.spans = eff.Spans
		say("spans from=%d measure=%v", p.spans.From, p.spans.Measure)
	}
	if k := eff.Compact; k != nil {
		p.compact = k
		say("compact [%d,%d] clean=%d tombstones=%d end=%d", k.First, k.Through, k.Cleaned, k.Tombstones, k.End)
	}
	for _, m := range eff.Send {
		say("send %s to %d", m.Type, m.To)
	}
	slices.SortFunc(eff.Replies, func(a, b partition.Reply) int { return int(a.Req) - int(b.Req) })
	for _, r := range eff.Replies {
		switch {
		case r.Err != nil:
			say("reply %d refused: %s: %v", r.Req, fault.CodeOf(r.Err), r.Err)
		case r.View != nil:
			say("reply %d view hw=%d", r.Req, r.View.HighWatermark)
		case r.Answer != nil:
			say("reply %d answer %v", r.Req, r.Answer)
		default:
			say("reply %d base=%d stamp=%d epoch=%d", r.Req, r.Base, r.AppendTimeMs, r.Epoch)
		}
	}
	if v := eff.View; v != nil {
		start := ""
		if v.LogStart > 0 {
			start = fmt.Sprintf(" start=%d", v.LogStart)
		}
		say("view leader=%v ready=%v epoch=%d%s hw=%d end=%d epochs=%v", v.Leader, v.Ready, v.Epoch, start, v.HighWatermark, v.LogEnd, v.Epochs)
	}
	if !eff.Wake.IsZero() {
		say("wake in %v", eff.Wake.Sub(p.now))
	}
	if eff.Stop != nil {
		say("stop: %v", eff.Stop)
	}
}

// adder is a machine that adds up; it refuses 13 at the door and 14 when it is applied.
type adder struct{ sum uint64 }

func (a *adder) Admit(t state.EntryType, payload []byte) error {
	if t == state.EntryControl && binary.BigEndian.Uint64(payload) == 13 {
		return fault.New(fault.PolicyViolation, "13 is not admitted")
	}
	return nil
}

func (a *adder) Apply(e state.Entry) error {
	if e.Type != state.EntryControl || len(e.Payload()) == 0 {
		return nil
	}
	n := binary.BigEndian.Uint64(e.Payload())
	if n == 14 {
		return fault.New(fault.InvalidRequest, "14 can't be added")
	}
	a.sum += n
	return nil
}

func (a *adder) Query(any) any    { return a.sum }
func (a *adder) Snapshot() []byte { return binary.BigEndian.AppendUint64(nil, a.sum) }
func (a *adder) Restore(b []byte) error {
	a.sum = binary.BigEndian.Uint64(b)
	return nil
}
