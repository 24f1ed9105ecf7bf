// Package checkout brings a repository into a workspace, once, and gives every sandbox a branch of its own. What is in a
// workspace already is never overwritten: of a checkout that is there no more than a ref and HEAD are written.
package checkout

import (
	"context"
	"errors"
	"io/fs"
	"log"
	"os"

	"sandkeeper.dev/guest/internal/credential"
)

const (
	dotGit = ".git"
	// unfinished is where a clone is made; what an interrupted one left there is thrown away.
	unfinished = ".sandkeeper-clone"
	// finished is a whole clone on its way into its place, file by file, with .git as the last.
	finished = ".sandkeeper-checkout"
)

// Wanted is what a workspace is to hold.
type Wanted struct {
	// Repository is its address.
	Repository string
	// Ref is where a new branch begins: a branch, tag or commit; empty for the repository's own HEAD.
	Ref string
	// Branch is the sandbox's.
	Branch string
	// Secret holds the login.
	Secret credential.Secret
	// Log takes what is done.
	Log *log.Logger
}

// Prepare brings the workspace in a folder to what is wanted.
func Prepare(ctx context.Context, folder string, wanted Wanted) error {
	workspace, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer workspace.Close()
	held, err := workspace.Lstat(dotGit)
	switch {
	case err == nil && !held.IsDir():
		// A working tree of another repository, or a trick: nothing of it is ours to write.
		wanted.Log.Printf("%s is no folder; the checkout is left as it is", dotGit)
		return nil
	case err == nil:
		// The last step of a placing that was interrupted; a folder that is not empty stays.
		_ = workspace.Remove(finished)
		return adopt(workspace, wanted)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if held, err := workspace.Lstat(finished); err == nil && held.IsDir() {
		wanted.Log.Print("going on with a clone that was whole")
	} else if err := clone(ctx, workspace, wanted); err != nil {
		return err
	}
	if err := place(workspace); err != nil {
		return err
	}
	// What was gone on with may have been meant for another sandbox.
	return adopt(workspace, wanted)
}
