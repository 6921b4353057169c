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

// Latencies adds the median, the 99th and the 99.9th percentile of d to figures.
func Latencies(figures map[string]float64, d []time.Duration) {
	for name, q := range map[string]float64{"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999} {
		figures[name] = Quantile(d, q)
	}
}

// Ratio prints the ratio of the medians of a figure of two subjects, and returns it; 0 where one is missing.
// bar says what it has to be.
func (r *Results) Ratio(figure, subject, to, bar string) float64 {
	a, b := r.MedianOf(subject, figure), r.MedianOf(to, figure)
	if b == 0 {
		fmt.Fprintf(r.out, "# ratio %s %s / %s: none\n", figure, subject, to)
		return 0
	}
	fmt.Fprintf(r.out, "# ratio %s %s / %s = %.2f%s\n", figure, subject, to, a/b, barred(bar))
	return a / b
}

// Bar prints the median of a figure beside what it has to be.
func (r *Results) Bar(figure, subject, bar string) {
	fmt.Fprintf(r.out, "# %s of %s = %.4g%s\n", figure, subject, r.MedianOf(subject, figure), barred(bar))
}

// Note prints a line that is no figure.
func (r *Results) Note(format string, args ...any) { fmt.Fprintf(r.out, "# "+format+"\n", args...) }

func barred(bar string) string {
	if bar == "" {
		return ""
	}
	return " (has to be " + bar + ")"
}

func sortedKeys(m map[string]float64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
