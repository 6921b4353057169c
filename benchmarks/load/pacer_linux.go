package load

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pacer waits for moments more exactly than the runtime's timers, which an idle process hears of with a
// millisecond's delay: the kernel's timer wakes its file's reader. One goroutine uses it.
type pacer struct{ timer *os.File }

func newPacer() *pacer {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return &pacer{} // the runtime's timers will do
	}
	return &pacer{os.NewFile(uintptr(fd), "timer")}
}

// until waits for a moment, or until ctx ends.
func (p *pacer) until(ctx context.Context, at time.Time) {
	const exact = 5 * time.Millisecond // what is left to the kernel's timer, which does not see ctx end
	if p.timer == nil {
		until(ctx, at)
		return
	}
	until(ctx, at.Add(-exact))
	wait := time.Until(at)
	if wait <= 0 || ctx.Err() != nil {
		return
	}
	once := &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(wait))}
	if err := p.wait(once); err != nil {
		until(ctx, at)
	}
}

func (p *pacer) wait(once *unix.ItimerSpec) error {
	raw, err := p.timer.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	if err := raw.Control(func(fd uintptr) { setErr = unix.TimerfdSettime(int(fd), 0, once, nil) }); err != nil {
		return err
	}
	if setErr != nil {
		return setErr
	}
	var expirations [8]byte
	_, err = p.timer.Read(expirations[:])
	return err
}

func (p *pacer) close() {
	if p.timer != nil {
		_ = p.timer.Close()
	}
}
