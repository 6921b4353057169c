package replica

import (
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// Watch asks for one partition.Reply when at least MinBytes of committed batches lie at or behind From, or at
// Deadline. ID is the asker's own name for it, unique on the member, so that it can be taken back.
type Watch struct {
	ID       uint64
	From     record.Offset
	MinBytes int
	Deadline time.Time
}

// Unwatch takes a Watch back: the watch is answered at once with an empty partition.Reply. It is told, not
// asked.
type Unwatch struct{ ID uint64 }
