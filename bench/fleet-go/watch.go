package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"net"
	"sync"
	"syscall"
)

const (
	msgKexInit     = 20
	msgKexECDHInit = 30
	// watchLimit bounds what is kept of a client's first bytes; the largest KEXINIT seen is under 3 KiB.
	watchLimit = 64 << 10
)

// stats is what the harness is told, counted since it last asked.
type stats struct {
	Connections    int            `json:"connections"`
	Strangers      int            `json:"strangers"` // not loopback, closed unread
	Failures       int            `json:"failures"`  // ended before authentication succeeded
	Handshakes     int            `json:"handshakes"`
	Auths          int            `json:"auths"`
	Execs          int            `json:"execs"`
	Cookies        int            `json:"distinctCookies"`
	Ephemerals     int            `json:"distinctEphemerals"`
	Algorithms     map[string]int `json:"algorithms"` // "kex, host key, cipher" by number of clients
	CPUMs          float64        `json:"cpuMs"`      // user + system of the fleet itself
	ClientVersions map[string]int `json:"clientVersions"`
}

// counters guards stats and the sets behind its distinct counts.
type counters struct {
	mutex      sync.Mutex
	stats      stats
	cookies    map[[16]byte]struct{}
	ephemerals map[[32]byte]struct{}
	cpuMs      float64
}

func newCounters() *counters {
	c := &counters{}
	c.take()
	return c
}

func (c *counters) add(change func(*stats)) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	change(&c.stats)
}

// take returns what was counted and starts again from nothing.
func (c *counters) take() stats {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	total := float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
	taken := c.stats
	taken.Cookies, taken.Ephemerals, taken.CPUMs = len(c.cookies), len(c.ephemerals), total-c.cpuMs
	c.stats = stats{Algorithms: map[string]int{}, ClientVersions: map[string]int{}}
	c.cookies, c.ephemerals, c.cpuMs = map[[16]byte]struct{}{}, map[[32]byte]struct{}{}, total
	return taken
}

// hello records the plaintext a client opened with.
func (c *counters) hello(h hello, ours offer) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.stats.Handshakes++
	c.cookies[h.cookie] = struct{}{}
	c.ephemerals[h.ephemeral] = struct{}{}
	c.stats.ClientVersions[h.version]++
	agreed := first(h.kex, ours.kex) + ", " + first(h.hostKey, ours.hostKey) + ", " + first(h.cipher, ours.cipher)
	c.stats.Algorithms[agreed]++
}

// offer is the part of a KEXINIT that decides the cost of a handshake.
type offer struct{ kex, hostKey, cipher []string }

// first is the rule of RFC 4253 §7.1: the client's first name that the server has, too.
func first(client, server []string) string {
	for _, name := range client {
		for _, ours := range server {
			if name == ours {
				return name
			}
		}
	}
	return "none"
}

// hello is what a client sends in the clear: identification, KEXINIT, and the public half of its ephemeral key.
type hello struct {
	offer
	version   string
	cookie    [16]byte
	ephemeral [32]byte // SHA-256 of the public value, whatever its length
}

// watchedConn keeps a copy of the first bytes read until they hold a whole hello, reports it once, and is then a
// plain connection.
type watchedConn struct {
	net.Conn
	seen []byte
	done func(hello)
}

func (w *watchedConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if w.done != nil && n > 0 {
		w.seen = append(w.seen, p[:n]...)
		if h, ok := parseHello(w.seen); ok {
			w.done(h)
			w.done, w.seen = nil, nil
		} else if len(w.seen) > watchLimit {
			w.done, w.seen = nil, nil
		}
	}
	return n, err
}

// parseHello reads identification, KEXINIT and the ECDH init message; false while some of it has not come yet.
func parseHello(b []byte) (h hello, ok bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return h, false
	}
	h.version, b = string(bytes.TrimRight(b[:end], "\r")), b[end+1:]
	for {
		var payload []byte
		if payload, b, ok = packet(b); !ok {
			return h, false
		}
		switch {
		case payload[0] == msgKexInit && len(payload) > 17:
			copy(h.cookie[:], payload[1:17])
			lists := nameLists(payload[17:])
			h.kex, h.hostKey, h.cipher = lists[0], lists[1], lists[2]
		case payload[0] == msgKexECDHInit:
			h.ephemeral = sha256.Sum256(payload[1:])
			return h, true
		}
	}
}

// packet cuts one unencrypted binary packet (RFC 4253 §6) off b.
func packet(b []byte) (payload, rest []byte, ok bool) {
	if len(b) < 5 {
		return nil, b, false
	}
	size, padding := uint64(binary.BigEndian.Uint32(b)), uint64(b[4])
	if uint64(len(b)) < 4+size || size < padding+2 {
		return nil, b, false
	}
	return b[5 : 4+size-padding], b[4+size:], true
}

// nameLists reads the first three name-lists of a KEXINIT: key exchange, host key, cipher to the server.
func nameLists(b []byte) (lists [3][]string) {
	for i := range lists {
		if len(b) < 4 || uint64(len(b)) < 4+uint64(binary.BigEndian.Uint32(b)) {
			return lists
		}
		end := 4 + binary.BigEndian.Uint32(b)
		for _, name := range bytes.Split(b[4:end], []byte{','}) {
			lists[i] = append(lists[i], string(name))
		}
		b = b[end:]
	}
	return lists
}
