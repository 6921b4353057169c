package engine

import (
	"fmt"
	"log/slog"
	"strings"
)

// badgerLogger listens to what Badger says. With synchronous writes a failed sync of the value log is
// reported in no other way: the transaction succeeds. So every error it logs fences the store.
type badgerLogger struct {
	log   *slog.Logger
	fence func(error)
}

// readErrors begin the messages about one value that cannot be read. They cost one entry, which whoever
// reads it finds damaged, and not the store.
var readErrors = []string{"Unable to read: Key:", "Key: %v, Version", "Invalid read: vp:"}

func (l badgerLogger) Errorf(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	for _, p := range readErrors {
		if strings.HasPrefix(format, p) {
			l.log.Warn("stored value unreadable", "err", text)
			return
		}
	}
	l.fence(fmt.Errorf("storage below the log: %s", text))
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.log.Warn("storage below the log", "err", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// Infof and Debugf are Badger's own life story; nobody who runs a member can act on it.
func (l badgerLogger) Infof(string, ...any)  {}
func (l badgerLogger) Debugf(string, ...any) {}
