package sandbox

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"

	"sandkeeper.dev/guest/internal/control"
	"sandkeeper.dev/guest/internal/pack"
	"sandkeeper.dev/guest/internal/process"
)

// keeper packs and unpacks, one after the other.
type keeper struct {
	store *pack.Store
	// installed stands for what the packs have installed once the sandbox is ready.
	installed string
	// mark is what the folder has to hold before the next start trusts its pack; empty where it does, or need not.
	mark string
	lock sync.Mutex
	// since begins where the last pack that succeeded did.
	since process.Solitude
}

// openKeeper indexes the root file system and unpacks what there is; it also returns what is installed by that.
func openKeeper(s *Sandbox, wanted string) (*keeper, string, error) {
	root, err := pack.OpenRoot(s.Root)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	index, err := s.indexOf(root)
	if err != nil {
		return nil, "", err
	}
	store, err := pack.OpenStore(s.Folder, s.Root, index, s.Settings.PackLimit, s.say)
	if err != nil {
		return nil, "", err
	}
	k := &keeper{store: store, installed: wanted}
	if err := k.distrust(s.Settings.Reinstall); err != nil {
		return nil, "", err
	}
	installed, err := store.Unpack()
	debug.FreeOSMemory()
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		err = fmt.Errorf("the node's disk has no room for what the sandbox had installed: %w", err)
	}
	return k, installed, err
}

// indexOf relies on what a former sandbox left on the volume where its packs are relied on, too.
func (s *Sandbox) indexOf(root *pack.Root) (*pack.Index, error) {
	if s.Settings.Reinstall != "" {
		return pack.NewIndex(root)
	}
	return pack.Recall(s.Folder, root)
}

// distrust sets a pack aside that may be somebody else's: unless the folder holds the mark that only this sandbox knows.
func (k *keeper) distrust(mark string) error {
	if mark == "" {
		return nil
	}
	trusted, err := k.store.IsMarked(mark)
	if err != nil || trusted {
		return err
	}
	k.mark = mark
	return k.store.SetAside()
}

// trust has the next start use what this one packed.
func (k *keeper) trust() error {
	if k.mark == "" {
		return nil
	}
	if err := k.store.Mark(k.mark); err != nil {
		return err
	}
	k.mark = ""
	return nil
}

// pack packs; asking is the process that asks for it, 0 for this one.
func (k *keeper) pack(asking int) (pack.Result, error) {
	k.lock.Lock()
	defer k.lock.Unlock()
	since := process.BeginSolitude(asking)
	// A first process that once packed a lot stays small; who asks for the pack need not wait for that.
	defer func() { go debug.FreeOSMemory() }()
	result, err := k.store.Pack(k.installed)
	if err == nil {
		err = k.trust()
	}
	if err != nil {
		since = process.Solitude{}
	}
	k.since = since
	return result, err
}

// isUpToDate says whether nothing can have changed since the last pack: most sandboxes that are put to sleep only stay
// for somebody to enter them, and their end need not wait for one more look at every file.
func (k *keeper) isUpToDate() bool {
	k.lock.Lock()
	defer k.lock.Unlock()
	return k.since.Lasts()
}

// answer packs for somebody who asks by the socket.
func (k *keeper) answer(asking int) control.Answer {
	result, err := k.pack(asking)
	var failure *pack.Failure
	if errors.As(err, &failure) {
		return control.Answer{Error: failure}
	}
	return control.Answer{Result: &result}
}

func failed(message string) control.Answer {
	return control.Answer{Error: &pack.Failure{Reason: pack.Failed, Message: message}}
}
