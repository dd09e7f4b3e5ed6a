package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// session answers one session channel: the first exec request is carried out, everything else is refused.
func (f *fleet) session(offered ssh.NewChannel, address string) {
	channel, requests, err := offered.Accept()
	if err != nil {
		return
	}
	started := false
	for request := range requests {
		var exec struct{ Command string }
		ok := !started && request.Type == "exec" && ssh.Unmarshal(request.Payload, &exec) == nil
		if request.WantReply {
			request.Reply(ok, nil)
		}
		if ok {
			started = true
			f.count.add(func(s *stats) { s.Execs++ })
			go f.exec(channel, exec.Command, address)
		}
	}
}

// exec carries out a command and ends the channel as sshd does: EOF, exit-status, CLOSE.
func (f *fleet) exec(channel ssh.Channel, command, address string) {
	defer channel.Close()
	if f.delay > 0 {
		time.Sleep(f.delay)
	}
	status := run(channel, command, address)
	channel.CloseWrite()
	channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
}

// run is the shell of these hosts: a handful of words, and 127 for the rest.
func run(channel ssh.Channel, command, address string) uint32 {
	word, rest := command, ""
	if i := strings.IndexByte(command, ' '); i >= 0 {
		word, rest = command[:i], command[i+1:]
	}
	number, bad := strconv.ParseUint(rest, 10, 16)
	switch {
	case word == "whoami-host":
		fmt.Fprintf(channel, "hello %s\n", address)
	case word == "hostname":
		fmt.Fprintf(channel, "%s\n", address)
	case word == "echo":
		fmt.Fprintf(channel, "%s\n", rest)
	case word == "cat":
		io.Copy(channel, channel)
	case word == "yes" && bad == nil:
		io.WriteString(channel, strings.Repeat("y\n", int(number)))
	case word == "true":
	case word == "exit" && bad == nil:
		return uint32(number & 255)
	case word == "sleep" && bad == nil:
		time.Sleep(time.Duration(number) * time.Second)
	default:
		fmt.Fprintf(channel.Stderr(), "%s: not found\n", word)
		return 127
	}
	return 0
}
