package engine

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
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

// failedSync begins the message about a value log that could not be synced.
const failedSync = "Error while curlf sync"

// haltingLogger ends the goroutine in which Badger says that the value log could not be synced. Badger would go
// on and make the rows durable that lead to values which are not: after a power cut they would lead to nothing, and
// a log whose last entries were never acknowledged would be damaged. So nothing is written behind a failed sync.
// Who waits for that transaction learns it by failed; what Badger itself waits for never comes, which a fenced
// store is closed in spite of.
type haltingLogger struct {
	badger.Logger
	once   *sync.Once
	failed chan struct{}
}

func newHaltingLogger(l badger.Logger) haltingLogger {
	return haltingLogger{Logger: l, once: new(sync.Once), failed: make(chan struct{})}
}

func (l haltingLogger) Errorf(format string, args ...any) {
	l.Logger.Errorf(format, args...)
	if strings.HasPrefix(format, failedSync) {
		l.once.Do(func() { close(l.failed) })
		runtime.Goexit()
	}
}
