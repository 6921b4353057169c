package kafka

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
)

// queueCalls is the number of requests of one connection that may be in flight.
const queueCalls = 256

// conn is one connection. Its reader runs in run, its writer in write.
type conn struct {
	s      *server
	nc     net.Conn
	in     *input
	remote string
	credit *Credit
	queue  chan *call

	stopping atomic.Bool   // no further request is read
	stop     chan struct{} // closed with stopping
	dead     chan struct{} // closed when nothing will be written any more
	stopOnce sync.Once
	deadOnce sync.Once

	mu    sync.Mutex
	cause Cause
	waits map[*call]func() // long polls that can be given up

	unanswered atomic.Int64
	active     atomic.Int64 // when it was last in use, in nanoseconds since 1970
	clientID   string       // the newest, so that equal ones share their bytes
	serving    *call        // the request that the reader is at
}

func newConn(s *server, nc net.Conn) *conn {
	return &conn{
		s: s, nc: nc, in: newInput(nc), remote: nc.RemoteAddr().String(),
		credit: NewCredit(s.o.ConnectionBytes),
		queue:  make(chan *call, queueCalls),
		stop:   make(chan struct{}), dead: make(chan struct{}),
		waits: map[*call]func(){},
	}
}

// run serves the connection until it ends, and returns when its writer has ended too.
func (c *conn) run() {
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write()
	}()
	err := c.read()
	c.report(err)
	c.endReading(causeOf(err))
	close(c.queue)
	<-written
	c.kill(CauseClient)
}

// read takes requests until the connection ends; nil means that it was told to.
func (c *conn) read() (err error) {
	defer func() {
		if p := recover(); p != nil {
			must(c.serving != nil, "panic before the first request: %v", p)
			err = c.panicked(c.serving.key, p)
			c.serving.free() // a port that panicked may never say done
		}
	}()
	for !c.stopping.Load() {
		size, err := c.nextFrame()
		if err != nil {
			return c.unlessStopping(err)
		}
		f := &frame{in: c.in, left: size}
		if err = c.request(f, size); err != nil {
			return c.unlessStopping(err)
		}
	}
	return nil
}

func (c *conn) unlessStopping(err error) error {
	if c.stopping.Load() {
		return nil
	}
	return err
}

// panicked turns a recovered panic into the end of this connection.
func (c *conn) panicked(key int16, p any) error {
	c.s.o.Observer.Panicked(key)
	c.s.o.Logger.Error("kafka request panicked", "remote", c.remote, "key", key,
		"err", fmt.Sprint(p), "stack", string(debug.Stack()))
	c.kill(CausePanic)
	return errPanicked
}

var errPanicked = errors.New("handler panicked")

// nextFrame waits for a request, as long as the connection may be idle, and returns the size of what follows.
func (c *conn) nextFrame() (int, error) {
	c.touch()
	for c.in.buffered() == 0 {
		idle := time.Since(time.Unix(0, c.active.Load()))
		c.readDeadline(c.s.o.IdleTimeout - idle)
		_, err := c.in.peek(1)
		if errors.Is(err, os.ErrDeadlineExceeded) && c.busy() {
			continue
		}
		if err != nil {
			return 0, err
		}
	}
	if c.in.buffered() < 4 {
		c.readDeadline(c.s.o.FrameTimeout)
	}
	b, err := c.in.peek(4)
	if err != nil {
		return 0, err
	}
	size := int(int32(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])))
	c.in.discard(4)
	if size < minRequest || size > c.s.o.MaxFrameBytes {
		return 0, malformed("frame of %d bytes, at least %d and at most %d are taken",
			size, minRequest, c.s.o.MaxFrameBytes)
	}
	if c.in.buffered() < size {
		c.readDeadline(c.s.o.transferTimeout(size))
	}
	return size, nil
}

// touch notes that the connection is in use.
func (c *conn) touch() { c.active.Store(time.Now().UnixNano()) }

// busy reports whether a connection whose time is up is not idle after all: it waits for us, or was
// answered since.
func (c *conn) busy() bool {
	if c.stopping.Load() {
		return false
	}
	if c.unanswered.Load() > 0 {
		c.touch()
	}
	return time.Since(time.Unix(0, c.active.Load())) < c.s.o.IdleTimeout
}

// readDeadline bounds the next reads. A connection that is stopping keeps the deadline in the past that
// stops it.
func (c *conn) readDeadline(d time.Duration) {
	c.nc.SetReadDeadline(time.Now().Add(d))
	if c.stopping.Load() {
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// stopReading makes the reader end, which then ends the rest. It does not block and does not call the port.
func (c *conn) stopReading(cause Cause) {
	c.stopOnce.Do(func() {
		c.mu.Lock()
		c.cause = cause
		c.stopping.Store(true)
		c.mu.Unlock()
		close(c.stop)
		c.nc.SetReadDeadline(time.Unix(1, 0))
	})
}

// endReading makes the reader end, and gives long polls up, so that the writer gets through.
func (c *conn) endReading(cause Cause) {
	c.stopReading(cause)
	for _, cancel := range c.takeWaits() {
		cancel()
	}
}

// kill ends the connection at once.
func (c *conn) kill(cause Cause) {
	c.endReading(cause)
	c.deadOnce.Do(func() {
		close(c.dead)
		c.nc.Close()
	})
}

// ended is why the connection ended.
func (c *conn) ended() Cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// watch remembers how the long poll of k is given up. The reader calls it before its own k.done, so that
// the last done, which forgets it, comes later.
func (c *conn) watch(k *call, cancel func()) {
	if cancel == nil {
		return
	}
	c.mu.Lock()
	stopping := c.stopping.Load()
	if !stopping {
		c.waits[k] = cancel
	}
	c.mu.Unlock()
	if stopping {
		cancel()
	}
}

func (c *conn) unwatch(k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waits, k)
}

func (c *conn) takeWaits() (cancels []func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, cancel := range c.waits {
		cancels = append(cancels, cancel)
		delete(c.waits, k)
	}
	return cancels
}

// take blocks until n bytes may be held in flight; false means that the connection ends. Time spent
// waiting does not count against the frame that is being read.
func (c *conn) take(n int64) bool {
	began := time.Now()
	waited, ok := c.credit.take(c.stop, n)
	if !ok {
		return false
	}
	waitedToo, ok := c.s.o.MemberBytes.take(c.stop, n)
	if !ok {
		c.credit.give(n)
		return false
	}
	if waited || waitedToo {
		c.s.o.Observer.Throttled(time.Since(began))
		c.readDeadline(c.s.o.transferTimeout(int(n)))
	}
	return true
}

// force charges n bytes that are there already, or gives them back where n is negative.
func (c *conn) force(n int64) {
	c.credit.force(n)
	c.s.o.MemberBytes.force(n)
}

func (c *conn) give(n int64) { c.force(-n) }

// who is the origin of a request. Equal client ids share their bytes.
func (c *conn) who(clientID []byte) broker.Who {
	if string(clientID) != c.clientID {
		c.clientID = string(clientID)
	}
	return broker.Who{ClientID: c.clientID, Remote: c.remote}
}

// report logs why the reader ended, where that is worth a line.
func (c *conn) report(err error) {
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, errPanicked), errors.Is(err, net.ErrClosed):
	case errors.Is(err, errMalformed), errors.Is(err, io.ErrUnexpectedEOF):
		c.s.o.Logger.Warn("kafka connection ended", "remote", c.remote, "err", err)
	default:
		c.s.o.Logger.Info("kafka connection ended", "remote", c.remote, "err", err)
	}
}

func causeOf(err error) Cause {
	switch {
	case err == nil:
		return CauseDrain
	case errors.Is(err, errMalformed):
		return CauseMalformed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return CauseTimeout
	case errors.Is(err, errPanicked):
		return CausePanic
	default:
		return CauseClient
	}
}
