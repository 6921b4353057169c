package cli

import (
	"io"
	"time"

	urfave "github.com/urfave/cli/v2"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// longWork is how long a command works before it shows how far it is.
const longWork = time.Second

func quietFlag() urfave.Flag {
	return &urfave.BoolFlag{Name: "quiet", Usage: "no notes and no progress on standard error, only errors"}
}

// shown reports whether there are eyes on standard error that want to see progress.
func (s *shell) shown() bool { return !s.quiet && isTerminal(s.Stderr) }

// meter shows on standard error how far work of known size is, once it has taken longer than longWork. It is used by
// one goroutine; a nil one shows nothing.
type meter struct {
	to    io.Writer
	what  string
	bytes bool
	total int64
	done  int64
	began time.Time
	bars  *mpb.Progress // nil until it is shown
	bar   *mpb.Bar
}

// meter begins to measure work: total is in bytes, or a number of records. It is nil where nobody looks, or nobody
// knows how much there is to do. The caller ends it.
func (s *shell) meter(what string, total int64, bytes bool) *meter {
	if total <= 0 || !s.shown() {
		return nil
	}
	return &meter{to: s.Stderr, what: what, total: total, bytes: bytes, began: time.Now()}
}

// add notes that n more are done.
func (m *meter) add(n int64) {
	if m == nil {
		return
	}
	m.done += n
	if m.bar == nil && time.Since(m.began) >= longWork {
		m.show()
	}
	if m.bar != nil {
		m.bar.SetCurrent(m.done)
	}
}

func (m *meter) show() {
	counts := decor.CountersNoUnit("%d of %d")
	if m.bytes {
		counts = decor.CountersKibiByte("% .1f of % .1f")
	}
	m.bars = mpb.New(mpb.WithOutput(m.to), mpb.WithWidth(64), mpb.WithAutoRefresh())
	m.bar = m.bars.AddBar(0, // so that it ends with end, and not by itself
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(m.what+" "), counts),
		mpb.AppendDecorators(decor.Percentage()))
	m.bar.SetTotal(m.total, false)
}

// end takes the bar away and waits until it is gone.
func (m *meter) end() {
	if m == nil || m.bar == nil {
		return
	}
	m.bar.Abort(true)
	m.bars.Wait()
	m.bar = nil
}
