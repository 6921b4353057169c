package cluster

import (
	"context"
	"math"
	"net"
	"runtime/debug"

	"github.com/millstream-io/millstream/cluster/gateway/kafka"
)

// kafkaDoor is the Kafka protocol being served.
type kafkaDoor struct {
	listens    string
	advertised string
	cancel     context.CancelFunc
	done       chan error
}

// openDoor serves a listener. The door is in place before its first request, which may ask for its address.
func (m *Member) openDoor(l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	d := &kafkaDoor{
		listens: l.Addr().String(), advertised: m.advertised(l), cancel: cancel, done: make(chan error, 1),
	}
	o := kafka.Options{
		Logger: m.config.Logger, Advertised: d.advertised, Now: m.config.Now,
		MemberBytes: m.inFlight, DrainTimeout: closeTimeout,
		Observer: m.config.doorObserver,
	}
	if o.Observer == nil {
		o.Observer = m.metrics.Kafka()
	}
	m.door = d
	go func() { d.done <- kafka.Serve(ctx, l, m.broker, o) }()
}

// close drains the connections and waits for them.
func (d *kafkaDoor) close() error {
	d.cancel()
	return <-d.done
}

// requestBytes is a quarter of the memory that the process may use.
func requestBytes() int64 {
	total := machineMemory()
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		total = min(total, limit)
	}
	return max(total/4, minRequestBytes)
}
