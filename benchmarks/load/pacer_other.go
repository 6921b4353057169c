//go:build !linux

package load

import (
	"context"
	"time"
)

// pacer waits for moments as exactly as the runtime's timers do.
type pacer struct{}

func newPacer() *pacer { return &pacer{} }

func (*pacer) until(ctx context.Context, at time.Time) { until(ctx, at) }

func (*pacer) close() {}
