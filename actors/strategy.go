package actors

import (
	"context"
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// strategy is the library's hook for panics in Receive: it stops the life and leaves the rest to the
// activation. It never escalates, because that would panic the embedding process. A pointer, because the
// library keys a map by it.
type strategy struct{ sys *System }

// HandleFailure runs on the goroutine of the actor that panicked, inside the recovery, with its mailbox
// suspended.
func (s *strategy) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, reason any, _ any,
) {
	if l, ok := s.sys.lives.Load(child.Id); ok {
		l.(*life).fell(reason, debug.Stack())
	}
	sup.StopChildren(child)
}

// libraryLog lets only the library's warnings and errors through: at info it prints messages and each start.
type libraryLog struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h libraryLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h libraryLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryLog{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h libraryLog) WithGroup(name string) slog.Handler { return libraryLog{h.Handler.WithGroup(name)} }
