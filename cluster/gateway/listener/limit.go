package listener

import (
	"net"
	"sync"
)

// Limit takes at most connections from l at one time. Further ones are closed at once, instead of waiting unseen, and
// refused runs for each; it must not block. Closing the result closes l.
func Limit(l net.Listener, connections int, refused func()) net.Listener {
	return &limited{Listener: l, taken: make(chan struct{}, connections), refused: refused}
}

type limited struct {
	net.Listener
	taken   chan struct{} // holds a value for each connection
	refused func()
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.taken <- struct{}{}:
			return &conn{Conn: c, l: l}, nil
		default:
			l.refused()
			_ = c.Close()
		}
	}
}

// conn is a connection that gives its place back once.
type conn struct {
	net.Conn
	l    *limited
	once sync.Once
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() { <-c.l.taken })
	return c.Conn.Close()
}
