package compaction

import (
	"fmt"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
)

// benchLog is a log of batches of about 16 KiB, 150 records each, where every key was written twice.
func benchLog(b *testing.B, c record.Codec) (l *testLog, records, size int64) {
	l = newLog()
	const entries = 200
	for i := range entries {
		words := ""
		for j := range 150 {
			n := i*150 + j
			words += fmt.Sprintf("some-key-%d=%070d ", n*7919%(entries*75), n)
		}
		l.append(pack(b, c, -1, 0, words))
		records += 150
		size += int64(len(l.entries[i].Frame))
	}
	return l, records, size
}

// BenchmarkBuilder is the first half of a pass; bytes are those of the log.
func BenchmarkBuilder(b *testing.B) {
	for _, c := range codecs {
		b.Run("codec="+c.String()+"/batch=16KiB", func(b *testing.B) {
			l, records, size := benchLog(b, c)
			b.ReportAllocs()
			b.SetBytes(size)
			for b.Loop() {
				l.build(b, 0, l.last(), 128<<20)
			}
			b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkKeep is the second half of a pass: dirty, where half the records go, and clean, where all stay.
func BenchmarkKeep(b *testing.B) {
	for _, c := range codecs {
		whole, records, size := benchLog(b, c)
		for _, state := range []string{"dirty", "clean"} {
			b.Run(state+"/codec="+c.String()+"/batch=16KiB", func(b *testing.B) {
				l, records, size := whole, records, size
				p := l.build(b, 0, l.last(), 128<<20).Plan(0, l.next())
				if state == "clean" {
					l, records, size = l.rewrite(b, p), 0, 0
					for _, s := range l.batches(b) {
						records, size = records+int64(s.Count()), size+int64(len(s.Batch))+64
					}
				}
				b.ReportAllocs()
				b.SetBytes(size)
				for b.Loop() {
					for _, e := range l.entries {
						if _, _, err := p.Keep(e); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}
