package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

func (s *shell) debugDumpLogCommand() *urfave.Command {
	return &urfave.Command{
		Name: "dump-log", Usage: "print the entries of a log while no member runs", ArgsUsage: "TOPIC[/PARTITION]",
		Description: "Damaged entries are printed as such, and the dump goes on. Keys and values are printed only\n" +
			"with --contents. The metadata log is called __cluster_metadata.",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "data", Usage: "data directory `DIR`; MILLSTREAM_DATA names one too"},
			&urfave.Int64Flag{Name: "from", Usage: "begin with the entry that holds `OFFSET`"},
			&urfave.Int64Flag{Name: "number", Aliases: []string{"n"}, Usage: "end after `N` entries of each partition"},
			&urfave.BoolFlag{Name: "records", Usage: "also print each record's offset, time and sizes"},
			&urfave.BoolFlag{Name: "contents", Usage: "also print keys and values; implies --records"},
			&urfave.StringFlag{Name: "output", Value: "table", Usage: "`FORM` of the result: table or json, one object a line"},
		},
		Action: s.debugDumpLog,
	}
}

func (s *shell) debugDumpLog(c *urfave.Context) error {
	name, err := oneArgument(c, "TOPIC[/PARTITION]")
	if err != nil {
		return err
	}
	topic, number, one := strings.Cut(name, "/")
	partition, err := strconv.ParseInt(number, 10, 32)
	if one && (err != nil || partition < 0) {
		return usage("%q is no partition of %q", number, topic).hint("millstream debug dump-log %s/0", topic)
	}
	d := dump{out: s.Stdout, records: c.Bool("records") || c.Bool("contents"), contents: c.Bool("contents")}
	switch form := c.String("output"); form {
	case "json":
		d.json = json.NewEncoder(s.Stdout)
		d.json.SetEscapeHTML(false)
	case "table":
	default:
		return usage("unknown form %q for --output", form).hint("table or json")
	}
	n, from := c.Int64("number"), c.Int64("from")
	if n < 0 || from < 0 {
		return usage("-n %d or --from %d is negative", n, from)
	}
	i, err := s.inspect(c.String("data"))
	if err != nil {
		return err
	}
	found := false
	for _, p := range i.Partitions() {
		if err == nil && p.Topic == topic && (!one || p.Partition == record.Partition(partition)) {
			found = true
			err = d.partition(i, p, record.Offset(from), n)
		}
	}
	if !found {
		err = noSuchLog(i, name)
	}
	return errors.Join(err, i.Close())
}

// inspect opens a data directory that no member uses.
func (s *shell) inspect(dir string) (*cluster.Inspection, error) {
	if dir == "" {
		dir = s.env("MILLSTREAM_DATA")
	}
	if dir == "" {
		return nil, usage("dump-log takes the --data directory that is meant")
	}
	i, err := cluster.Inspect(dir)
	if errors.Is(err, fault.PolicyViolation) {
		return nil, fail(exitConflict, "the log cannot be dumped while a member uses it").because("%s is in use", dir).
			hint("stop the member; or read its records: millstream consume TOPIC")
	}
	if err != nil {
		return nil, fail(exitFailure, "the log does not open").because("%v", err).hint("millstream doctor --data %s", dir)
	}
	return i, nil
}

func noSuchLog(i *cluster.Inspection, name string) error {
	if err := i.MetadataErr(); err != nil {
		return fail(exitFailure, "the metadata log is damaged, so partitions have no names").because("%v", err).
			hint("millstream debug dump-log __cluster_metadata")
	}
	var known []string
	for _, p := range i.Partitions() {
		known = append(known, fmt.Sprintf("%s/%d", p.Topic, p.Partition))
	}
	return fail(exitNotFound, fmt.Sprintf("there is no log of %s in this directory", name)).
		because("there is %s", strings.Join(known[:min(len(known), 20)], ", "))
}

// dump prints entries.
type dump struct {
	out               io.Writer
	json              *json.Encoder // nil: lines for the eye
	records, contents bool
}

// dumpedEntry is an entry as JSON shows it. Its keys are stable.
type dumpedEntry struct {
	Topic     string           `json:"topic"`
	Partition record.Partition `json:"partition"`
	Index     uint64           `json:"index"`
	Through   uint64           `json:"through,omitempty"` // of a run of compacted entries
	Damaged   string           `json:"damaged,omitempty"`
	Term      uint64           `json:"term,omitempty"`
	Type      string           `json:"type,omitempty"`
	Base      record.Offset    `json:"base"`
	Last      record.Offset    `json:"last"`
	Appended  string           `json:"appended,omitempty"`
	Bytes     int              `json:"bytes,omitempty"`
	Batches   []dumpedBatch    `json:"batches,omitempty"`
}

type dumpedBatch struct {
	Base     record.Offset        `json:"base"`
	Last     record.Offset        `json:"last"`
	Count    int32                `json:"count"`
	Bytes    int                  `json:"bytes"`
	Codec    string               `json:"codec"`
	Producer record.ProducerID    `json:"producer"`
	Epoch    record.ProducerEpoch `json:"producer_epoch"`
	Sequence record.Sequence      `json:"sequence"`
	CRC      string               `json:"crc"` // "ok", or what is wrong
	Records  []dumpedRecord       `json:"records,omitempty"`
}

type dumpedRecord struct {
	Offset     record.Offset `json:"offset"`
	Time       string        `json:"timestamp"`
	KeyBytes   int           `json:"key_bytes"` // -1: null
	ValueBytes int           `json:"value_bytes"`
	Headers    int           `json:"headers,omitempty"`
	Key        *string       `json:"key,omitempty"`
	Value      *string       `json:"value,omitempty"`
}

var entryTypes = map[state.EntryType]string{
	state.EntryRecords: "records", state.EntryControl: "control", state.EntryConf: "conf", state.EntryTrim: "trim",
	state.EntryCompacted: "compacted", state.EntryClean: "clean", state.EntryFence: "fence",
}

// partition prints the entries of one partition, n of them or, with 0, all.
func (d *dump) partition(i *cluster.Inspection, p cluster.InspectedPartition, from record.Offset, n int64) error {
	if d.json == nil {
		fmt.Fprintf(d.out, "%s/%d\n", p.Topic, p.Partition)
	}
	printed := int64(0)
	var failed error
	err := i.Entries(p, from, func(e state.Entry, err error) bool {
		failed = d.print(d.entry(p, e, err))
		printed++
		return failed == nil && printed != n
	})
	return errors.Join(err, failed)
}

func (d *dump) entry(p cluster.InspectedPartition, e state.Entry, err error) dumpedEntry {
	out := dumpedEntry{Topic: p.Topic, Partition: p.Partition, Index: e.Index, Base: -1, Last: -1}
	if err != nil {
		out.Damaged = oneLine(err.Error())
		return out
	}
	out.Term, out.Type, out.Base, out.Last = e.Term, entryTypes[e.Type], e.Base, e.Last
	out.Appended, out.Bytes = stamp(e.AppendTimeMs), len(e.Frame)
	if t := e.Through(); t != e.Index {
		out.Through = t
	}
	if e.Type != state.EntryRecords {
		return out
	}
	for rest := e.Payload(); len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err != nil {
			out.Damaged = oneLine(err.Error())
			return out
		}
		out.Batches = append(out.Batches, d.batch(b))
		rest = next
	}
	return out
}

func (d *dump) batch(b record.Batch) dumpedBatch {
	out := dumpedBatch{
		Base: b.BaseOffset(), Last: b.LastOffset(), Count: b.Count(), Bytes: len(b), Codec: b.Codec().String(),
		Producer: b.ProducerID(), Epoch: b.ProducerEpoch(), Sequence: b.BaseSequence(), CRC: "ok",
	}
	if err := b.Check(); err != nil {
		out.CRC = oneLine(err.Error())
		return out
	}
	if !d.records {
		return out
	}
	for r, err := range b.Records(0) {
		if err != nil {
			out.CRC = oneLine(err.Error())
			break
		}
		k := dumpedRecord{
			Offset: r.Offset, Time: stamp(r.TimestampMs), KeyBytes: sizeOrNull(r.Key), ValueBytes: sizeOrNull(r.Value),
			Headers: len(r.Headers),
		}
		if d.contents {
			k.Key, k.Value = textOrNull(r.Key), textOrNull(r.Value)
		}
		out.Records = append(out.Records, k)
	}
	return out
}

// print writes one entry.
func (d *dump) print(e dumpedEntry) error {
	if d.json != nil {
		return d.json.Encode(e)
	}
	var b strings.Builder
	switch {
	case e.Damaged != "":
		fmt.Fprintf(&b, "entry %d  DAMAGED: %s\n", e.Index, e.Damaged)
	case e.Last < e.Base:
		fmt.Fprintf(&b, "entry %s  term %d  %s  at %d  %s  %d bytes\n", e.span(), e.Term, e.Type, e.Base, e.Appended, e.Bytes)
	default:
		fmt.Fprintf(&b, "entry %s  term %d  %s  %d-%d  %s  %d bytes\n", e.span(), e.Term, e.Type, e.Base, e.Last, e.Appended,
			e.Bytes)
	}
	for _, k := range e.Batches {
		fmt.Fprintf(&b, "  batch %d-%d  %s  %s  %d bytes  producer %d epoch %d sequence %d  crc %s\n", k.Base, k.Last,
			count(int64(k.Count), "record"), k.Codec, k.Bytes, k.Producer, k.Epoch, k.Sequence, k.CRC)
		for _, r := range k.Records {
			fmt.Fprintf(&b, "    %d  %s  key %s  value %s", r.Offset, r.Time, sizeText(r.KeyBytes), sizeText(r.ValueBytes))
			if d.contents {
				fmt.Fprintf(&b, "  %s  %s", quoted(r.Key), quoted(r.Value))
			}
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(d.out, b.String())
	return err
}

// span is the index of an entry, or the indexes of what it stands for.
func (e dumpedEntry) span() string {
	if e.Through == 0 {
		return strconv.FormatUint(e.Index, 10)
	}
	return fmt.Sprintf("%d-%d", e.Index, e.Through)
}

// stamp writes a time; a log that has no record yet has none.
func stamp(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func sizeOrNull(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

func sizeText(n int) string {
	if n < 0 {
		return "null"
	}
	return strconv.Itoa(n)
}

func textOrNull(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

func quoted(s *string) string {
	if s == nil {
		return "null"
	}
	return strconv.Quote(*s)
}
