package cli

import (
	"regexp"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
)

var timestamps = regexp.MustCompile(`"timestamp":\d+`)

// Goal: positions read as documented, others are refused. Method: a table at a fixed time.
func TestParsePosition(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000).UTC()
	tests := []struct {
		text string
		want position
		bad  bool
	}{
		{text: "start", want: position{kind: fromStart}},
		{text: "beginning", want: position{kind: fromStart}},
		{text: "end", want: position{kind: fromEnd}},
		{text: "0", want: position{kind: fromOffset}},
		{text: "42", want: position{kind: fromOffset, n: 42}},
		{text: "-10", want: position{kind: fromLast, n: 10}},
		{text: "5:10", want: position{kind: fromRange, n: 5, until: 10}},
		{text: "@-1h", want: position{kind: fromTime, n: 1_700_000_000_000 - 3_600_000}},
		{text: "@1700000000", want: position{kind: fromTime, n: 1_700_000_000_000}},
		{text: "@1700000000123", want: position{kind: fromTime, n: 1_700_000_000_123}},
		{text: "@2023-11-14T22:13:20Z", want: position{kind: fromTime, n: 1_700_000_000_000}},
		{text: "@2023-11-14", want: position{kind: fromTime, n: 1_699_920_000_000}},
		{text: "", bad: true}, {text: "@", bad: true}, {text: "@1h", bad: true}, {text: "10:5", bad: true},
		{text: "-1:5", bad: true}, {text: "ten", bad: true}, {text: "99999999999999999999", bad: true},
	}
	for _, tt := range tests {
		got, err := parsePosition(tt.text, now)
		if (err != nil) != tt.bad || got != tt.want {
			t.Errorf("%q gives %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
	}
}

// Goal: a position never leaves what a partition holds. Method: a table of a partition with records in [5,
// 20).
func TestSpan(t *testing.T) {
	tests := []struct {
		p     position
		atEnd bool
		want  span
	}{
		{position{kind: fromStart}, false, span{5, -1}},
		{position{kind: fromStart}, true, span{5, 20}},
		{position{kind: fromEnd}, true, span{20, 20}},
		{position{kind: fromOffset, n: 1}, false, span{5, -1}},
		{position{kind: fromOffset, n: 99}, false, span{20, -1}},
		{position{kind: fromLast, n: 3}, true, span{17, 20}},
		{position{kind: fromLast, n: 300}, true, span{5, 20}},
		{position{kind: fromRange, n: 1, until: 8}, false, span{5, 8}},
		{position{kind: fromRange, n: 10, until: 99}, false, span{10, 99}},
		{position{kind: fromRange, n: 10, until: 99}, true, span{10, 20}},
		{position{kind: fromTime, n: 1}, true, span{12, 20}},
	}
	for _, tt := range tests {
		if got := tt.p.span(extent{5, 20}, 12, tt.atEnd); got != tt.want {
			t.Errorf("%+v at end %v: %+v, want %+v", tt.p, tt.atEnd, got, tt.want)
		}
	}
}

// Goal: lines come apart as the format says. Method: a table.
func TestReader(t *testing.T) {
	tests := []struct{ format, line, key, value string }{
		{"%v", "a:b", "", "a:b"},
		{`%v\n`, "a", "", "a"},
		{"%k:%v", "a:b:c", "a", "b:c"},
		{`%k\t%v`, "a\tb", "a", "b"},
		{"%v<-%k", "a<-b", "b", "a"},
		{"[%k] %v!", "[a] b!", "a", "b"},
		{"100%% %v", "100% a", "", "a"},
	}
	for _, tt := range tests {
		r, err := parseReader(tt.format)
		if err != nil {
			t.Fatalf("%s: %v", tt.format, err)
		}
		if k, v, ok := r.split(tt.line); !ok || k != tt.key || v != tt.value {
			t.Errorf("%s on %q gives %q, %q, %v", tt.format, tt.line, k, v, ok)
		}
	}
	r, err := parseReader("%k:%v")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := r.split("nothing"); ok {
		t.Error("a line without the separator was taken")
	}
	for _, bad := range []string{"", "%k", "%v%v", "%k:%v:%k", "%x", `%v\q`} {
		if _, err := parseReader(bad); err == nil {
			t.Errorf("format %q was taken", bad)
		}
	}
}

// Goal: no format makes the parser or the writer fall over. Method: fuzz both with one record.
func FuzzFormat(f *testing.F) {
	for _, seed := range []string{`%t %p %o %k %v %T %h %s\n`, `%`, `%%`, `\`, `\x4`, `\x41`, "%K%V%S", "%k:%v"} {
		f.Add(seed)
	}
	r := &client.Record{Topic: "t", Key: []byte("k"), Value: nil, Headers: []record.Header{{Key: "h"}}}
	f.Fuzz(func(t *testing.T, text string) {
		if w, err := parseFormat(text); err == nil {
			w.append(nil, r)
		}
		if rd, err := parseReader(text); err == nil {
			rd.split(text)
		}
		_, _ = parsePosition(text, time.Unix(0, 0))
	})
}
