// Package gitstate is what a sandbox tells of its checkout when it is copied or put to sleep. A repository may be huge, or
// made to waste time and memory, so another program looks at it, which is ended where it takes too long.
package gitstate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// State is where a checkout stands.
type State struct {
	// Branch is empty where none is checked out, Commit where there is none yet.
	Branch string `json:"branch,omitempty"`
	Commit string `json:"commit,omitempty"`
	// DirtyFiles are those with changes that are not committed; nil where nobody could count them.
	DirtyFiles *int `json:"dirtyFiles,omitempty"`
}

// What a program's end leaves unread comes at once.
const drain = 100 * time.Millisecond

// Ask has a program look at the checkout in a folder. The error says why something is not known; what was told before is
// returned all the same.
func Ask(program, folder string, patience time.Duration) (*State, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var said, complaint bytes.Buffer
	command := exec.CommandContext(ctx, program, "state", folder)
	// Nothing of the tenant's: no variable leads a program of ours anywhere.
	command.Env = []string{}
	command.Stdout, command.Stderr = &said, &complaint
	command.WaitDelay = drain
	// The exit code may go to whoever reaps orphans first, so what was said has to tell.
	ended := command.Run()
	state := last(&said)
	switch {
	case state != nil && state.DirtyFiles != nil:
		return state, nil
	case ctx.Err() != nil:
		return state, fmt.Errorf("the checkout could not be looked through within %v", patience)
	case complaint.Len() > 0:
		// Of one that ran out of memory this is Go's word for it.
		line, _, _ := bytes.Cut(complaint.Bytes(), []byte("\n"))
		return state, errors.New(string(line))
	case ended != nil:
		return state, ended
	}
	return state, errors.New("nothing was told of the checkout")
}

// last is the last whole state that was told, each says more than the one before; nil for none.
func last(said *bytes.Buffer) *State {
	var found *State
	for decoder := json.NewDecoder(said); ; {
		next := &State{}
		if decoder.Decode(next) != nil {
			return found
		}
		found = next
	}
}
