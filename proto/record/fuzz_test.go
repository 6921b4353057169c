package record

import (
	"testing"
)

func seeds(f *testing.F) {
	for _, c := range allCodecs {
		f.Add([]byte(build(f, c, 0, sample(12))))
	}
	f.Add([]byte{})
	f.Add(make([]byte, HeaderSize))
}

// Goal: cutting and checking batches never panics and never makes bytes up. Method: fuzz Next and Check over
// several batches in a row.
func FuzzNext(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, p []byte) {
		total := 0
		for rest := p; len(rest) > 0; {
			b, after, err := Next(rest)
			if err != nil {
				break
			}
			_ = b.Check()
			_ = b.String()
			total += len(b)
			rest = after
		}
		if total > len(p) {
			t.Fatalf("%d bytes of batches in %d bytes", total, len(p))
		}
	})
}

// Goal: no bytes make the reader panic, pass its limit, or give records that do not encode again. Method:
// fuzz the payload and the header with a small limit, and rebuild what was read.
func FuzzRecords(f *testing.F) {
	seeds(f)
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, p []byte) {
		var (
			b     Builder
			bytes int
			n     int
		)
		for r, err := range Batch(p).Records(limit) {
			if err != nil {
				return
			}
			bytes += len(r.Key) + len(r.Value)
			n++
			if err := b.Append(&r); err != nil {
				t.Fatal(err)
			}
		}
		if bytes > max(limit, len(p)) {
			t.Fatalf("%d bytes in records, limit %d", bytes, limit)
		}
		if n == 0 {
			return
		}
		frame, err := b.Build(0, CodecNone)
		if err != nil {
			t.Fatal(err)
		}
		again := 0
		for _, err := range Batch(frame).Records(0) {
			if err != nil {
				t.Fatal(err)
			}
			again++
		}
		if again != n {
			t.Fatalf("%d records became %d", n, again)
		}
	})
}

// BenchmarkRead decodes a batch of 16 KiB.
func BenchmarkRead(b *testing.B) {
	for _, c := range allCodecs {
		b.Run("codec="+c.String()+"/batch=16KiB", func(b *testing.B) {
			rs := make([]Record, 0, 150)
			for i := range 150 {
				r := sample(5)[i%5]
				r.Value = make([]byte, 80)
				rs = append(rs, r)
			}
			p := Batch(build(b, c, 0, rs))
			var (
				r   Reader
				rec Record
			)
			b.ReportAllocs()
			b.SetBytes(16 << 10)
			for b.Loop() {
				if err := r.Open(p, 0); err != nil {
					b.Fatal(err)
				}
				for r.Next(&rec) {
				}
			}
		})
	}
}

// BenchmarkBuild builds a batch of 16 KiB.
func BenchmarkBuild(b *testing.B) {
	for _, c := range allCodecs {
		b.Run("codec="+c.String()+"/batch=16KiB", func(b *testing.B) {
			var bu Builder
			r := Record{Key: []byte("some-key"), Value: make([]byte, 92)}
			b.ReportAllocs()
			b.SetBytes(16 << 10)
			for b.Loop() {
				bu.Reset()
				for range 150 {
					_ = bu.Append(&r)
				}
				if _, err := bu.Build(64, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
