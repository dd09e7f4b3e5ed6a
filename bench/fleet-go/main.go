// Command fleet-go is the fleet that `npm run bench` measures clients against: one process that answers as an SSH
// server on every loopback address, written on golang.org/x/crypto/ssh so that no client is measured against its own
// project's server.
//
// It listens on the wildcard address (the only way to own 127.0.0.0/8) and closes every connection whose local or
// remote address is not loopback before reading a byte. A line "stats" on stdin prints one JSON line with everything
// counted since the last one; the end of stdin ends the process, so that it cannot outlive the harness.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// handshakeLimit is how long a client may take from connect to the end of authentication.
const handshakeLimit = 60 * time.Second

// options are the command line, parsed.
type options struct {
	port       int
	keys       int
	seed       string
	base       uint32
	authorized string
	password   string
	knownHosts string
	hosts      string
	first      uint
	delay      time.Duration
	latency    time.Duration
	kex        string
}

func parseOptions() options {
	var o options
	base := flag.String("base", "127.1.0.0", "address that gets the first host key")
	flag.IntVar(&o.port, "port", 0, "TCP port; 0 lets the kernel choose")
	flag.IntVar(&o.keys, "keys", 1000, "number of distinct ed25519 host keys")
	flag.StringVar(&o.seed, "seed", "fleet", "seed of the host keys")
	flag.StringVar(&o.authorized, "authorized", "", "file with the one public key that may log in")
	flag.StringVar(&o.password, "password", "", "password that may log in; empty: none may")
	flag.StringVar(&o.knownHosts, "known-hosts", "", "write a known_hosts line per host of -hosts to this file")
	flag.StringVar(&o.hosts, "hosts", "", "the hosts of -known-hosts, as IPv4 CIDR")
	flag.UintVar(&o.first, "count", 0, "only so many hosts of -hosts; 0: all")
	flag.DurationVar(&o.delay, "delay", 0, "wait before each answer")
	flag.DurationVar(&o.latency, "latency", 0, "round trip: whatever is sent leaves so much later")
	flag.StringVar(&o.kex, "kex", "curve25519-sha256,curve25519-sha256@libssh.org", "key exchanges offered")
	flag.Parse()
	ip := net.ParseIP(*base).To4()
	if ip == nil || o.keys < 1 || (o.authorized == "" && o.password == "") {
		log.Fatal("usage: fleet-go -authorized FILE [-base IPV4] [-keys N] [-port N] …")
	}
	o.base = binary.BigEndian.Uint32(ip)
	return o
}

// fleet holds what all hosts share: one server config per host key, and the counters.
type fleet struct {
	options
	configs []*ssh.ServerConfig
	keyText []string // base64 of each host key's public blob
	offer   offer
	count   *counters
}

// newFleet derives the host keys and prepares one config per key; nothing is derived per connection.
func newFleet(o options) *fleet {
	f := &fleet{options: o, count: newCounters()}
	f.offer = offer{
		kex:     strings.Split(o.kex, ","),
		hostKey: []string{ssh.KeyAlgoED25519},
		cipher:  []string{"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr", "aes128-ctr"},
	}
	var blob []byte
	if o.authorized != "" {
		text, err := os.ReadFile(o.authorized)
		if err != nil {
			log.Fatal(err)
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(text)
		if err != nil {
			log.Fatalf("%s: %v", o.authorized, err)
		}
		blob = key.Marshal()
	}
	for i := 0; i < o.keys; i++ {
		seed := sha256.Sum256([]byte(fmt.Sprintf("%s/%d", o.seed, i)))
		signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
		if err != nil {
			log.Fatal(err)
		}
		f.configs = append(f.configs, f.config(signer, blob))
		f.keyText = append(f.keyText, base64.StdEncoding.EncodeToString(signer.PublicKey().Marshal()))
	}
	return f
}

func (f *fleet) config(signer ssh.Signer, blob []byte) *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		Config:       ssh.Config{KeyExchanges: f.offer.kex, Ciphers: f.offer.cipher},
		MaxAuthTries: 6,
	}
	if blob != nil {
		c.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) == string(blob) {
				return nil, nil
			}
			return nil, fmt.Errorf("unknown key")
		}
	}
	if f.password != "" {
		c.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if string(password) == f.password {
				return nil, nil
			}
			return nil, fmt.Errorf("wrong password")
		}
	}
	c.AddHostKey(signer)
	return c
}

// keyIndex is the host key of an address: the i-th address from the base has key i modulo the number of keys.
func (f *fleet) keyIndex(address uint32) int {
	return int((address - f.base) % uint32(f.keys))
}

// writeKnownHosts writes one line per host in the form OpenSSH wants for a port other than 22.
func (f *fleet) writeKnownHosts(port int) error {
	_, network, err := net.ParseCIDR(f.hosts)
	if err != nil || network.IP.To4() == nil {
		return fmt.Errorf("-hosts %q is not an IPv4 CIDR", f.hosts)
	}
	file, err := os.Create(f.knownHosts)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	ones, bits := network.Mask.Size()
	first := binary.BigEndian.Uint32(network.IP.To4())
	hosts := uint32(1) << uint(bits-ones)
	if o := uint32(f.first); o > 0 && o < hosts {
		hosts = o
	}
	for i := uint32(0); i < hosts; i++ {
		a := first + i
		fmt.Fprintf(out, "[%d.%d.%d.%d]:%d %s %s\n",
			a>>24, a>>16&255, a>>8&255, a&255, port, ssh.KeyAlgoED25519, f.keyText[f.keyIndex(a)])
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// serve handles one connection from accept to close.
func (f *fleet) serve(conn net.Conn) {
	if f.latency > 0 {
		conn = newFarConn(conn, f.latency)
	}
	defer conn.Close()
	local, remote := conn.LocalAddr().(*net.TCPAddr), conn.RemoteAddr().(*net.TCPAddr)
	ip := local.IP.To4()
	if ip == nil || !local.IP.IsLoopback() || !remote.IP.IsLoopback() {
		f.count.add(func(s *stats) { s.Strangers++ })
		return
	}
	f.count.add(func(s *stats) { s.Connections++ })
	config := f.configs[f.keyIndex(binary.BigEndian.Uint32(ip))]
	conn.SetDeadline(time.Now().Add(handshakeLimit))
	watched := &watchedConn{Conn: conn, done: func(h hello) { f.count.hello(h, f.offer) }}
	session, channels, requests, err := ssh.NewServerConn(watched, config)
	if err != nil {
		f.count.add(func(s *stats) { s.Failures++ })
		return
	}
	conn.SetDeadline(time.Time{})
	f.count.add(func(s *stats) { s.Auths++ })
	defer session.Close()
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		if channel.ChannelType() != "session" {
			channel.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		go f.session(channel, ip.String())
	}
}

// raiseLimit lets the process hold as many connections as the hard limit allows.
func raiseLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("fleet-go: ")
	raiseLimit()
	f := newFleet(parseOptions())
	listener, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", f.port))
	if err != nil {
		log.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if f.knownHosts != "" {
		if err := f.writeKnownHosts(port); err != nil {
			log.Fatal(err)
		}
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				log.Print(err)
				time.Sleep(10 * time.Millisecond)
				continue
			}
			go f.serve(conn)
		}
	}()
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]int{"port": port})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "stats" {
			out.Encode(f.count.take())
		}
	}
}
