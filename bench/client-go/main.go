// Command client-go does on golang.org/x/crypto/ssh what every client of the benchmark does: connect to each host,
// verify its host key, log in with one ed25519 key, run one command, print "HOST: ANSWER".
//
// Known hosts are read once into a map: the package knownhosts scans all lines at every look-up, which at 8,192 lines
// would measure the scan and not SSH. The last line on stderr is JSON: {"hosts":N,"ok":N,"failed":N}.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

type job struct {
	port    int
	command string
	config  ssh.ClientConfig
}

// readKnownHosts maps "[host]:port" to the key blob of its line.
func readKnownHosts(path string) map[string][]byte {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	known := map[string][]byte{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		_, names, key, _, _, err := ssh.ParseKnownHosts(lines.Bytes())
		if err != nil {
			log.Fatalf("%s: %v", path, err)
		}
		for _, name := range names {
			known[name] = key.Marshal()
		}
	}
	return known
}

// visit runs the command on one host and returns its output.
func (j *job) visit(host string) (string, error) {
	address := fmt.Sprintf("%s:%d", host, j.port)
	conn, err := net.DialTimeout("tcp4", address, j.config.Timeout)
	if err != nil {
		return "", err
	}
	connection, channels, requests, err := ssh.NewClientConn(conn, fmt.Sprintf("[%s]:%d", host, j.port), &j.config)
	if err != nil {
		conn.Close()
		return "", err
	}
	client := ssh.NewClient(connection, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	output, err := session.Output(j.command)
	return strings.TrimRight(string(output), "\n"), err
}

// addresses sends the first count addresses of an IPv4 CIDR, with 0 all of them.
func addresses(cidr string, count uint, hosts chan<- string) {
	_, network, err := net.ParseCIDR(cidr)
	if err != nil || network.IP.To4() == nil {
		log.Fatalf("-hosts %q is not an IPv4 CIDR", cidr)
	}
	ones, bits := network.Mask.Size()
	first := binary.BigEndian.Uint32(network.IP.To4())
	if all := uint(1) << uint(bits-ones); count == 0 || count > all {
		count = all
	}
	for i := uint32(0); i < uint32(count); i++ {
		ip := make(net.IP, 4)
		binary.BigEndian.PutUint32(ip, first+i)
		hosts <- ip.String()
	}
	close(hosts)
}

func newJob(identity, user, knownHosts, kex string) *job {
	text, err := os.ReadFile(identity)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		log.Fatal(err)
	}
	known := readKnownHosts(knownHosts)
	j := &job{config: ssh.ClientConfig{
		User:              user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
		Timeout:           30 * time.Second,
		HostKeyCallback: func(name string, _ net.Addr, key ssh.PublicKey) error {
			if want, found := known[name]; !found || !bytes.Equal(want, key.Marshal()) {
				return fmt.Errorf("%s: unknown or changed host key", name)
			}
			return nil
		},
	}}
	if kex != "" {
		j.config.KeyExchanges = strings.Split(kex, ",")
	}
	return j
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("client-go: ")
	cidr := flag.String("hosts", "127.1.0.0/24", "hosts as IPv4 CIDR")
	count := flag.Uint("count", 0, "only so many hosts of -hosts; 0: all")
	port := flag.Int("port", 22, "TCP port of every host")
	user := flag.String("user", "bench", "user name")
	identity := flag.String("identity", "", "private key file")
	knownHosts := flag.String("known-hosts", "", "known_hosts file; every host must be in it")
	workers := flag.Int("workers", 64, "hosts in progress at once")
	kex := flag.String("kex", "", "key exchanges offered; empty: the package's default")
	flag.Parse()
	j := newJob(*identity, *user, *knownHosts, *kex)
	j.port, j.command = *port, strings.Join(flag.Args(), " ")

	hosts := make(chan string, *workers)
	go addresses(*cidr, *count, hosts)
	var group sync.WaitGroup
	var mutex sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	ok, failed := 0, 0
	for i := 0; i < *workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for host := range hosts {
				answer, err := j.visit(host)
				mutex.Lock()
				if err != nil {
					failed++
					fmt.Fprintf(os.Stderr, "%s: %v\n", host, err)
				} else {
					ok++
					fmt.Fprintf(out, "%s: %s\n", host, answer)
				}
				mutex.Unlock()
			}
		}()
	}
	group.Wait()
	out.Flush()
	json.NewEncoder(os.Stderr).Encode(map[string]int{"hosts": ok + failed, "ok": ok, "failed": failed})
	if failed > 0 {
		os.Exit(1)
	}
}
