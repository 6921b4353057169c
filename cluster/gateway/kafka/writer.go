package kafka

import (
	"errors"
	"net"
	"os"
	"time"
)

// flushBytes is how many bytes of answers are collected for one write.
const flushBytes = 256 << 10

// writer is the writing end of a connection.
type writer struct {
	c       *conn
	out     output
	buffers net.Buffers
	done    []written // answers in out
}

type written struct {
	k     *call
	bytes int
}

// write sends answers in the order of the requests until the queue ends. Once the connection is dead it
// only frees.
func (c *conn) write() {
	w := &writer{c: c}
	for k := range c.queue {
		if !w.ready(k) || !w.encode(k) {
			w.drop(k)
			continue
		}
		if w.out.size() >= flushBytes || len(c.queue) == 0 {
			w.flush()
		}
	}
	w.flush()
}

// ready waits for the call to be finished. What has been encoded before is sent first, if there is
// anything to wait for.
func (w *writer) ready(k *call) bool {
	select {
	case <-k.ready:
		return !w.dead()
	default:
		w.flush()
	}
	select {
	case <-k.ready:
		return !w.dead()
	case <-w.c.dead:
		return false
	}
}

func (w *writer) dead() bool {
	select {
	case <-w.c.dead:
		return true
	default:
		return false
	}
}

// encode appends the call's answer. A panic costs the connection.
func (w *writer) encode(k *call) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			w.c.panicked(k.key, p)
			ok = false
		}
	}()
	start, spliced := w.out.begin(k.correlation, k.flexible && k.key != keyApiVersions, k.version)
	k.answer(&w.out)
	w.done = append(w.done, written{k, w.out.end(start, spliced)})
	return true
}

// flush writes everything that was encoded, and frees it.
func (w *writer) flush() {
	if len(w.done) == 0 {
		return
	}
	c := w.c
	c.nc.SetWriteDeadline(time.Now().Add(c.s.o.transferTimeout(w.out.size())))
	w.buffers = w.out.buffers(w.buffers[:0])
	toWrite := w.buffers // WriteTo consumes its receiver
	_, err := toWrite.WriteTo(c.nc)
	if err != nil {
		c.s.o.Logger.Debug("kafka answer not written", "remote", c.remote, "err", err)
		cause := CauseClient
		if errors.Is(err, os.ErrDeadlineExceeded) {
			cause = CauseTimeout
		}
		c.kill(cause)
	}
	c.touch()
	for _, d := range w.done {
		if err == nil {
			c.s.o.Observer.Answered(d.k.key, d.k.version, d.k.inBytes, d.bytes, time.Since(d.k.began))
		}
		c.unanswered.Add(-1)
		d.k.free()
	}
	clear(w.done)
	clear(w.buffers)
	w.done = w.done[:0]
	w.out.reset()
}

// drop frees a call whose answer will not be written.
func (w *writer) drop(k *call) {
	w.c.unanswered.Add(-1)
	k.abandon()
}
