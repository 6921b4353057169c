package cli

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millstream-io/millstream/state/serde"
)

func joined(names []string) string { return strings.Join(names, ", ") }

// parseKey encodes a key of the command line as a store with that format does.
func parseKey(format, text string) ([]byte, error) {
	refuse := func(what, example string) error { return usage("key %q is no %s", text, what).hint("%s", example) }
	switch format {
	case "string", "json":
		return []byte(text), nil
	case "int64":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, refuse("whole number of 64 bits", "the keys of this store are int64: 42")
		}
		return binary.BigEndian.AppendUint64(nil, uint64(n)), nil
	case "int32":
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, refuse("whole number of 32 bits", "the keys of this store are int32: 42")
		}
		return binary.BigEndian.AppendUint32(nil, uint32(n)), nil
	case "float64":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, refuse("number", "the keys of this store are float64: 1.5")
		}
		return binary.BigEndian.AppendUint64(nil, math.Float64bits(n)), nil
	case "bool":
		switch text {
		case "true":
			return []byte{1}, nil
		case "false":
			return []byte{0}, nil
		}
		return nil, refuse("bool", "true or false")
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, refuse("sequence of hexadecimal digits", "the keys of this store are given by their bytes: 0a1b")
	}
	return b, nil
}

// jsonOf is a key or value as JSON shows it: what its format says, else {"hex": "…"}.
func jsonOf(format string, b []byte) any {
	switch format {
	case "string":
		if utf8.Valid(b) {
			return string(b)
		}
	case "json":
		if json.Valid(b) {
			return json.RawMessage(b)
		}
	case "int64":
		if v, err := serde.Int64.Decode(b, serde.Info{}); err == nil {
			return v
		}
	case "int32":
		if v, err := serde.Int32.Decode(b, serde.Info{}); err == nil {
			return v
		}
	case "float64":
		if v, err := serde.Float64.Decode(b, serde.Info{}); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
	case "bool":
		if v, err := serde.Bool.Decode(b, serde.Info{}); err == nil {
			return v
		}
	}
	return map[string]string{"hex": hex.EncodeToString(b)}
}

// textOf is a key or value as a line shows it.
func textOf(format string, b []byte) []byte {
	switch v := jsonOf(format, b).(type) {
	case string, json.RawMessage:
		return b
	case map[string]string:
		return []byte(v["hex"])
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return []byte(hex.EncodeToString(b))
		}
		return text
	}
}

// jsonRow is one line of `app query --output json`. Times are in milliseconds since 1970.
type jsonRow struct {
	Partition   int32  `json:"partition"`
	Key         any    `json:"key"`
	Value       any    `json:"value"`
	Time        int64  `json:"time"`
	WindowStart *int64 `json:"window_start,omitempty"`
	WindowEnd   *int64 `json:"window_end,omitempty"`
}

// chooseForm finds how rows are printed.
func (q *storeQuery) chooseForm() error {
	if q.c.String("output") == "json" {
		q.write = q.appendJSON
		return nil
	}
	text := q.c.String("format")
	if text == "" {
		if text = `%k\t%v\n`; q.windowed() {
			text = `%k\t%w\t%v\n`
		}
	}
	steps, err := q.parseForm(text)
	q.write = func(dst []byte, r queriedRow) []byte {
		for _, step := range steps {
			dst = step(dst, r)
		}
		return dst
	}
	return err
}

func (q *storeQuery) appendJSON(dst []byte, r queriedRow) []byte {
	j := jsonRow{
		Partition: int32(r.partition), Key: jsonOf(q.store.KeyFormat, r.key), Value: jsonOf(q.store.ValueFormat, r.value),
		Time: r.time.UnixMilli(),
	}
	if q.windowed() {
		start, end := r.start.UnixMilli(), r.end.UnixMilli()
		j.WindowStart, j.WindowEnd = &start, &end
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(j); err != nil {
		return append(dst, `{"error":"a row cannot be written as JSON"}`+"\n"...)
	}
	return append(dst, b.String()...)
}

// parseForm reads a format of rows.
func (q *storeQuery) parseForm(text string) ([]func([]byte, queriedRow) []byte, error) {
	var steps []func([]byte, queriedRow) []byte
	literal := func(b byte) {
		steps = append(steps, func(dst []byte, _ queriedRow) []byte { return append(dst, b) })
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			b, n, err := unescape(text[i:])
			if err != nil {
				return nil, err
			}
			literal(b)
			i += n - 1
		case c == '%' && i+1 < len(text) && text[i+1] == '%':
			literal('%')
			i++
		case c == '%':
			letter := byte(0)
			if i++; i < len(text) {
				letter = text[i]
			}
			step := q.formLetter(letter)
			if step == nil {
				return nil, usage("the format %q is not understood", text).
					hint("%%k %%v %%T %%p %%w %%W %%%%, and %%w and %%W only for stores of windows")
			}
			steps = append(steps, step)
		default:
			literal(c)
		}
	}
	return steps, nil
}

func (q *storeQuery) formLetter(c byte) func([]byte, queriedRow) []byte {
	ms := func(of func(queriedRow) time.Time) func([]byte, queriedRow) []byte {
		return func(dst []byte, r queriedRow) []byte { return strconv.AppendInt(dst, of(r).UnixMilli(), 10) }
	}
	switch {
	case c == 'k':
		return func(dst []byte, r queriedRow) []byte { return append(dst, textOf(q.store.KeyFormat, r.key)...) }
	case c == 'v':
		return func(dst []byte, r queriedRow) []byte { return append(dst, textOf(q.store.ValueFormat, r.value)...) }
	case c == 'T':
		return ms(func(r queriedRow) time.Time { return r.time })
	case c == 'p':
		return func(dst []byte, r queriedRow) []byte { return strconv.AppendInt(dst, int64(r.partition), 10) }
	case c == 'w' && q.windowed():
		return ms(func(r queriedRow) time.Time { return r.start })
	case c == 'W' && q.windowed():
		return ms(func(r queriedRow) time.Time { return r.end })
	}
	return nil
}
