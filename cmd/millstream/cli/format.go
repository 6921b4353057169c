package cli

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
)

// format writes records in the words of kcat and rpk: %t topic, %p partition, %o offset, %k key, %v or %s
// value, %T timestamp in milliseconds, %h headers, %K and %V or %S lengths in bytes; \n \r \t \\ \0 \xNN.
type format []func(dst []byte, r *client.Record) []byte

// parseFormat reads a format; an unknown letter is refused.
func parseFormat(text string) (format, error) {
	var f format
	literal := func(b ...byte) {
		f = append(f, func(dst []byte, _ *client.Record) []byte { return append(dst, b...) })
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
		case c == '%' && i+1 < len(text):
			i++
			step := formatLetter(text[i])
			if step == nil {
				return nil, usage("unknown %%%c in the format %q", text[i], text).
					hint("%%t %%p %%o %%k %%v %%T %%h %%s %%K %%V %%%%")
			}
			f = append(f, step)
		case c == '%':
			return nil, usage("the format %q ends in a lonely %%", text).hint("%%%% writes one")
		default:
			literal(c)
		}
	}
	return f, nil
}

// unescape reads one backslash sequence and says how long it is.
func unescape(text string) (b byte, n int, err error) {
	if len(text) > 1 {
		switch text[1] {
		case 'n':
			return '\n', 2, nil
		case 'r':
			return '\r', 2, nil
		case 't':
			return '\t', 2, nil
		case '0':
			return 0, 2, nil
		case '\\':
			return '\\', 2, nil
		case 'x':
			if len(text) >= 4 {
				if v, err := strconv.ParseUint(text[2:4], 16, 8); err == nil {
					return byte(v), 4, nil
				}
			}
		}
	}
	return 0, 0, usage("unknown escape %q in a format", text[:min(4, len(text))]).hint(`\n \r \t \0 \\ \xNN`)
}

func formatLetter(c byte) func([]byte, *client.Record) []byte {
	number := func(of func(*client.Record) int64) func([]byte, *client.Record) []byte {
		return func(dst []byte, r *client.Record) []byte { return strconv.AppendInt(dst, of(r), 10) }
	}
	switch c {
	case '%':
		return func(dst []byte, _ *client.Record) []byte { return append(dst, '%') }
	case 't':
		return func(dst []byte, r *client.Record) []byte { return append(dst, r.Topic...) }
	case 'p':
		return number(func(r *client.Record) int64 { return int64(r.Partition) })
	case 'o':
		return number(func(r *client.Record) int64 { return int64(r.Offset) })
	case 'T':
		return number(func(r *client.Record) int64 { return r.TimestampMs })
	case 'K':
		return number(func(r *client.Record) int64 { return lengthOf(r.Key) })
	case 'V', 'S':
		return number(func(r *client.Record) int64 { return lengthOf(r.Value) })
	case 'k':
		return func(dst []byte, r *client.Record) []byte { return append(dst, r.Key...) }
	case 'v', 's':
		return func(dst []byte, r *client.Record) []byte { return append(dst, r.Value...) }
	case 'h':
		return appendHeaders
	}
	return nil
}

// lengthOf is -1 for null, as on the wire.
func lengthOf(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

func appendHeaders(dst []byte, r *client.Record) []byte {
	for i, h := range r.Headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, h.Key...), '='), h.Value...)
	}
	return dst
}

func (f format) append(dst []byte, r *client.Record) []byte {
	for _, step := range f {
		dst = step(dst, r)
	}
	return dst
}

// jsonRecord is one line of `consume --output json`. Key and value are strings, null, or {"base64": "…"}
// where they are not UTF-8.
type jsonRecord struct {
	Topic     string           `json:"topic"`
	Partition record.Partition `json:"partition"`
	Offset    record.Offset    `json:"offset"`
	Timestamp int64            `json:"timestamp"` // milliseconds since 1970
	Key       any              `json:"key"`
	Value     any              `json:"value"`
	Headers   []jsonHeader     `json:"headers"`
}

type jsonHeader struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

func jsonBytes(b []byte) any {
	switch {
	case b == nil:
		return nil
	case utf8.Valid(b):
		return string(b)
	}
	return map[string]string{"base64": base64.StdEncoding.EncodeToString(b)}
}

// appendJSON writes one record as one line.
func appendJSON(dst []byte, r *client.Record) []byte {
	j := jsonRecord{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.TimestampMs,
		Key: jsonBytes(r.Key), Value: jsonBytes(r.Value), Headers: []jsonHeader{},
	}
	for _, h := range r.Headers {
		j.Headers = append(j.Headers, jsonHeader{h.Key, jsonBytes(h.Value)})
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(j); err != nil {
		return append(dst, fmt.Sprintf("{\"error\":%q}\n", err)...)
	}
	return append(dst, b.String()...)
}

// reader parts a line into key and value by a format such as `%k\t%v`.
type reader struct {
	before, between, after string
	keyFirst, key, value   bool
}

// parseReader reads the format of `produce -f`: %k and %v, each at most once, with text around them. One line
// is one record, so a line end at the end of the format is taken as said.
func parseReader(text string) (*reader, error) {
	r := &reader{keyFirst: true}
	part := &r.before
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			b, n, err := unescape(text[i:])
			if err != nil {
				return nil, err
			}
			*part += string([]byte{b})
			i += n - 1
		case text[i] != '%':
			*part += text[i : i+1]
		case i+1 < len(text) && text[i+1] == '%':
			*part += "%"
			i++
		case i+1 < len(text) && (text[i+1] == 'k' && !r.key || text[i+1] == 'v' && !r.value):
			i++
			if text[i] == 'k' {
				r.key = true
			} else {
				r.value, r.keyFirst = true, r.key
			}
			if part == &r.before {
				part = &r.between
			} else {
				part = &r.after
			}
		default:
			return nil, usage("the format %q is not understood", text).hint(`%%k and %%v, once each: '%%k\t%%v'`)
		}
	}
	if !r.value || r.key && r.between == "" {
		return nil, usage("the format %q cannot be taken apart", text).
			because("it needs %%v, and some text between %%k and %%v").hint(`'%%k\t%%v'`)
	}
	if !r.key {
		r.between, r.after = "", r.between
	}
	r.after = strings.TrimSuffix(r.after, "\n")
	return r, nil
}

// split takes a line apart.
func (r *reader) split(line string) (key, value string, ok bool) {
	rest, ok := strings.CutPrefix(line, r.before)
	if !ok {
		return "", "", false
	}
	if rest, ok = strings.CutSuffix(rest, r.after); !ok || !r.key {
		return "", rest, ok
	}
	first, second, ok := strings.Cut(rest, r.between)
	if r.keyFirst {
		return first, second, ok
	}
	return second, first, ok
}
