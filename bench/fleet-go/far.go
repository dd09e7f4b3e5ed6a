package main

import (
	"net"
	"sync"
	"time"
)

// farConn is a connection to somebody far away: what is written leaves one round trip later, in order, and the first
// of it two, because TCP's own handshake would have taken one. Reading is not delayed: one way round is enough.
//
// At most 256 writes wait; then Write does, too.
type farConn struct {
	net.Conn
	roundTrip time.Duration
	mutex     sync.Mutex // of all below
	waiting   chan farWrite
	written   bool
	closed    bool
}

type farWrite struct {
	due  time.Time
	data []byte
}

func newFarConn(conn net.Conn, roundTrip time.Duration) *farConn {
	c := &farConn{Conn: conn, roundTrip: roundTrip, waiting: make(chan farWrite, 256)}
	go c.send()
	return c
}

// send closes the connection once all that was written before Close has left.
func (c *farConn) send() {
	defer c.Conn.Close()
	failed := false
	for w := range c.waiting {
		if failed {
			continue
		}
		time.Sleep(time.Until(w.due))
		_, err := c.Conn.Write(w.data)
		failed = err != nil
	}
}

func (c *farConn) Write(p []byte) (int, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	wait := c.roundTrip
	if !c.written {
		wait, c.written = 2*wait, true
	}
	c.waiting <- farWrite{time.Now().Add(wait), append([]byte(nil), p...)}
	return len(p), nil
}

func (c *farConn) Close() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.closed {
		c.closed = true
		close(c.waiting)
	}
	return nil
}
