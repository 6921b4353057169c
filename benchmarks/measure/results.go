package measure

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Results writes what a benchmark finds: JSON lines, and a table at the end.
type Results struct {
	out  io.Writer
	rows map[string][]float64
	keys []string
}

// NewResults begins with the hardware line.
func NewResults(out io.Writer, benchmark, dir string) *Results {
	r := &Results{out: out, rows: map[string][]float64{}}
	fmt.Fprintf(out, "# %s, %s\n# %s\n", benchmark, time.Now().UTC().Format(time.RFC3339), Machine(dir))
	return r
}

// Add records the figures of one repetition. Names end in their unit.
func (r *Results) Add(subject string, repetition int, figures map[string]float64) {
	line := map[string]any{"subject": subject, "repetition": repetition}
	for _, name := range sortedKeys(figures) {
		line[name] = figures[name]
		key := subject + "\t" + name
		if _, ok := r.rows[key]; !ok {
			r.keys = append(r.keys, key)
		}
		r.rows[key] = append(r.rows[key], figures[name])
	}
	b, err := json.Marshal(line)
	if err != nil {
		b = fmt.Appendf(nil, "%q", err)
	}
	fmt.Fprintf(r.out, "%s\n", b)
}

// Table prints the median and the range of every figure.
func (r *Results) Table() {
	fmt.Fprintf(r.out, "#\n# %-44s %-22s %12s %12s %12s\n", "subject", "figure", "median", "least", "most")
	for _, key := range r.keys {
		v := slices.Sorted(slices.Values(r.rows[key]))
		var subject, name string
		for i, c := range key {
			if c == '\t' {
				subject, name = key[:i], key[i+1:]
			}
		}
		fmt.Fprintf(r.out, "# %-44s %-22s %12.4g %12.4g %12.4g\n", subject, name, Median(v), v[0], v[len(v)-1])
	}
}

// MedianOf is the median of a figure of a subject, 0 where it has none.
func (r *Results) MedianOf(subject, name string) float64 { return Median(r.rows[subject+"\t"+name]) }

// Median returns the middle value.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Quantile returns the value below which a share q of the durations lies, in milliseconds.
func Quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return float64(s[min(int(q*float64(len(s))), len(s)-1)]) / float64(time.Millisecond)
}

func sortedKeys(m map[string]float64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
