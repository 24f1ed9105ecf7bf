// Package control is how programs in the container speak with its first process: by an abstract socket, which needs no
// place in the file system. One word goes there, one line of JSON comes back.
package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"sandkeeper.dev/guest/internal/gitstate"
	"sandkeeper.dev/guest/internal/pack"
)

// The words.
const (
	Ready   = "ready"
	Await   = "await"
	Pack    = "pack"
	Quiesce = "quiesce"
)

// Answer is what comes back.
type Answer struct {
	Ready bool `json:"ready,omitempty"`
	*pack.Result
	// PauseSeconds is how long whoever writes may have been held up by the sync; only Quiesce has it.
	PauseSeconds *float64 `json:"pauseSeconds,omitempty"`
	// Git is where the checkout stands; nil where there is none, or nobody can tell.
	Git   *gitstate.State `json:"git,omitempty"`
	Error *pack.Failure   `json:"error,omitempty"`
}

const (
	address  = "@sandkeeper.dev/guest"
	patience = 10 * time.Second
	longest  = 64
)

// Listen answers words until the listener is closed: each is handed to answer with the number of the process that asks, as
// seen from here, and the result goes back as JSON.
func Listen(answer func(word string, asking int) any) (net.Listener, error) {
	listener, err := net.Listen("unix", address)
	if err != nil {
		return nil, fmt.Errorf("no other guest may run in this pod: %w", err)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				go serve(connection.(*net.UnixConn), answer)
			}
		}
	}()
	return listener, nil
}

// The socket is seen by every container of the pod; who is another user has nothing to ask here.
func serve(connection *net.UnixConn, answer func(string, int) any) {
	defer connection.Close()
	peer := peerOf(connection)
	if peer == nil || int(peer.Uid) != os.Getuid() && peer.Uid != 0 {
		return
	}
	_ = connection.SetReadDeadline(time.Now().Add(patience))
	word, err := bufio.NewReaderSize(connection, longest).ReadSlice('\n')
	if err != nil {
		return
	}
	_ = json.NewEncoder(connection).Encode(answer(string(word[:len(word)-1]), int(peer.Pid)))
}

// peerOf tells who is at the other end; nil where nobody can tell.
func peerOf(connection *net.UnixConn) *unix.Ucred {
	raw, err := connection.SyscallConn()
	if err != nil {
		return nil
	}
	var peer *unix.Ucred
	err = raw.Control(func(fd uintptr) {
		if found, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			peer = found
		}
	})
	if err != nil {
		return nil
	}
	return peer
}

// AskToKeep has the first process pack or quiesce; that it can't be asked is a failure like others.
func AskToKeep(word string) Answer {
	var answer Answer
	if err := Ask(word, &answer); err != nil {
		return Answer{Error: &pack.Failure{Reason: pack.Failed, Message: fmt.Sprintf("the guest does not answer: %v", err)}}
	}
	return answer
}

// Ask sends a word to the first process and reads its answer.
func Ask(word string, answer any) error {
	connection, err := net.Dial("unix", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err := fmt.Fprintln(connection, word); err != nil {
		return err
	}
	return json.NewDecoder(connection).Decode(answer)
}
