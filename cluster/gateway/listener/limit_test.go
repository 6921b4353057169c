package listener_test

import (
	"net"
	"testing"

	"github.com/millstream-io/millstream/cluster/gateway/listener"
)

// Goal: connections beyond the limit are closed at once and counted, and a place is free again once its connection has
// been closed, twice too. Method: a limit of one.
func TestLimit(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan struct{}, 8)
	l := listener.Limit(raw, 1, func() { refused <- struct{}{} })
	accepted := make(chan net.Conn, 8)
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", raw.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	defer dial().Close()
	first := <-accepted
	second := dial()
	<-refused
	defer second.Close()
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("a connection too many was served")
	}
	_ = first.Close()
	_ = first.Close()
	defer dial().Close()
	third := <-accepted
	defer dial().Close()
	<-refused
	_ = third.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	<-ended
}
