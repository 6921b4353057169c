package engine

import (
	"fmt"
	"log/slog"
	"strings"
)

// badgerLogger listens to what Badger says. What goes wrong in its own goroutines is reported in no other way,
// so every error it logs fences the store.
type badgerLogger struct {
	log   *slog.Logger
	fence func(error)
}

func (l badgerLogger) Errorf(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	l.fence(fmt.Errorf("storage below the log: %s", text))
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.log.Warn("storage below the log", "err", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// Infof and Debugf are Badger's own life story; nobody who runs a member can act on it.
func (l badgerLogger) Infof(string, ...any)  {}
func (l badgerLogger) Debugf(string, ...any) {}
