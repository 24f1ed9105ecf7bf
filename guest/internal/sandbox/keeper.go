package sandbox

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"

	"sandkeeper.dev/guest/internal/control"
	"sandkeeper.dev/guest/internal/pack"
)

// keeper packs and unpacks, one after the other.
type keeper struct {
	store *pack.Store
	// installed stands for what the packs have installed once the sandbox is ready.
	installed string
	lock      sync.Mutex
}

// openKeeper indexes the root file system and unpacks what there is; it also returns what is installed by that.
func openKeeper(s *Sandbox, wanted string) (*keeper, string, error) {
	root, err := pack.OpenRoot(s.Root)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	index, err := pack.NewIndex(root)
	if err != nil {
		return nil, "", err
	}
	store, err := pack.OpenStore(s.Folder, s.Root, index, s.Settings.PackLimit, s.say)
	if err != nil {
		return nil, "", err
	}
	installed, err := store.Unpack()
	debug.FreeOSMemory()
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		err = fmt.Errorf("the node's disk has no room for what the sandbox had installed: %w", err)
	}
	return &keeper{store: store, installed: wanted}, installed, err
}

func (k *keeper) pack() (pack.Result, error) {
	k.lock.Lock()
	defer k.lock.Unlock()
	// A first process that once packed a lot stays small.
	defer debug.FreeOSMemory()
	return k.store.Pack(k.installed)
}

// answer packs for somebody who asks by the socket.
func (k *keeper) answer() control.Answer {
	result, err := k.pack()
	var failure *pack.Failure
	if errors.As(err, &failure) {
		return control.Answer{Error: failure}
	}
	return control.Answer{Result: &result}
}

func failed(message string) control.Answer {
	return control.Answer{Error: &pack.Failure{Reason: pack.Failed, Message: message}}
}
