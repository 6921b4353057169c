package partition

import (
	"context"
	"fmt"
	"log/slog"
)

// raftLogger carries raft's own words to slog. Raft tells each election in several lines of its info level:
// that is debug here. What raft calls fatal or panic is a broken invariant and panics.
type raftLogger struct{ log *slog.Logger }

func (l raftLogger) say(level slog.Level, text func() string) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "raft", "detail", text())
	}
}

func (l raftLogger) Debug(v ...any) {
	l.say(slog.LevelDebug, func() string { return fmt.Sprint(v...) })
}
func (l raftLogger) Debugf(f string, v ...any) {
	l.say(slog.LevelDebug, func() string { return fmt.Sprintf(f, v...) })
}
func (l raftLogger) Info(v ...any)            { l.Debug(v...) }
func (l raftLogger) Infof(f string, v ...any) { l.Debugf(f, v...) }
func (l raftLogger) Warning(v ...any) {
	l.say(slog.LevelWarn, func() string { return fmt.Sprint(v...) })
}
func (l raftLogger) Warningf(f string, v ...any) {
	l.say(slog.LevelWarn, func() string { return fmt.Sprintf(f, v...) })
}
func (l raftLogger) Error(v ...any) {
	l.say(slog.LevelError, func() string { return fmt.Sprint(v...) })
}
func (l raftLogger) Errorf(f string, v ...any) {
	l.say(slog.LevelError, func() string { return fmt.Sprintf(f, v...) })
}
func (l raftLogger) Fatal(v ...any)            { must(false, "raft: %s", fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(f string, v ...any) { must(false, "raft: "+f, v...) }
func (l raftLogger) Panic(v ...any)            { must(false, "raft: %s", fmt.Sprint(v...)) }
func (l raftLogger) Panicf(f string, v ...any) { must(false, "raft: "+f, v...) }
