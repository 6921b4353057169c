package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/millstream-io/millstream/cluster/gateway/grpc"
)

// grpcDoor is the gRPC services being served.
type grpcDoor struct {
	address string
	cancel  context.CancelFunc
	done    chan error
}

// GRPCAddr is the address that the gRPC services are served on, "host:port", or empty where the door is closed.
func (m *Member) GRPCAddr() string {
	if m.grpc == nil {
		return ""
	}
	return m.grpc.address
}

// listenGRPC opens the listener, nil where the door stays closed.
func (m *Member) listenGRPC() (net.Listener, error) {
	if m.config.GRPCListener != nil || m.config.GRPC == "" {
		return m.config.GRPCListener, nil
	}
	address, err := doorAddress(m.config.GRPC, m.config.Insecure)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open the gRPC door on %s: %w; free the port, or give another address", address, err)
	}
	return l, nil
}

// openGRPC serves a listener.
func (m *Member) openGRPC(l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	d := &grpcDoor{address: l.Addr().String(), cancel: cancel, done: make(chan error, 1)}
	o := grpc.Options{
		Logger: m.config.Logger, Now: m.config.Now, MemberBytes: m.inFlight, DrainTimeout: closeTimeout,
		ReadBytes: m.config.RequestBytes / 4,
		Observer:  m.metrics.GRPC(), Apps: m,
	}
	m.grpc = d
	go func() {
		err := grpc.Serve(ctx, l, m.broker, o)
		if err != nil {
			m.config.Logger.Error("grpc door closed by itself", "err", err)
		}
		d.done <- err
	}()
}

// close drains the calls and streams and waits for them.
func (d *grpcDoor) close() error {
	d.cancel()
	return <-d.done
}

// closeDoors drains the doors that clients use, at the same time.
func (m *Member) closeDoors() error {
	if m.grpc == nil {
		closeListener(m.config.GRPCListener)
	} else {
		m.grpc.cancel()
	}
	var faults []error
	if m.door != nil {
		faults = append(faults, m.door.close())
	}
	if m.grpc != nil {
		faults = append(faults, m.grpc.close())
	}
	return errors.Join(faults...)
}
