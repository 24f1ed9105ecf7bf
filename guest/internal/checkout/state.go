package checkout

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"sandkeeper.dev/guest/internal/gitstate"
)

const (
	// longestBranch is what a sandbox tells at most; a longer one is left out.
	longestBranch = 255
	// cached are objects that are read again: trees of one commit, each once.
	cached = 4 * cache.MiByte
)

// Tell writes where the checkout in a folder stands, as JSON: its branch and commit at once, and then all again with the
// number of files that are dirty, which may take long. Nothing is written to the checkout, and nothing of it is run.
func Tell(folder string, out io.Writer) error {
	answer := json.NewEncoder(out)
	state, err := standing(folder)
	if err != nil {
		return err
	}
	if err := answer.Encode(state); err != nil {
		return err
	}
	count, err := dirtyFiles(folder)
	if err != nil {
		return err
	}
	state.DirtyFiles = &count
	return answer.Encode(state)
}

func standing(folder string) (gitstate.State, error) {
	workspace, err := os.OpenRoot(folder)
	if err != nil {
		return gitstate.State{}, err
	}
	defer workspace.Close()
	held, err := workspace.Lstat(dotGit)
	if err != nil {
		return gitstate.State{}, err
	}
	if !held.IsDir() {
		return gitstate.State{}, refuse("%s is no folder", dotGit)
	}
	repository, err := workspace.OpenRoot(dotGit)
	if err != nil {
		return gitstate.State{}, err
	}
	defer repository.Close()
	at, err := readHead(repository)
	branch, isBranch := strings.CutPrefix(at.ref, branches)
	if !isBranch || len(branch) > longestBranch {
		branch = ""
	}
	return gitstate.State{Branch: branch, Commit: at.commit}, err
}

// dirtyFiles counts what `git status` would tell, file by file. File systems are bound to the folder: no link leads out.
func dirtyFiles(folder string) (int, error) {
	if err := confine(); err != nil {
		return 0, err
	}
	tree := osfs.New(folder, osfs.WithBoundOS())
	inner := osfs.New(filepath.Join(folder, dotGit), osfs.WithBoundOS())
	options := filesystem.Options{LargeObjectThreshold: large}
	store := filesystem.NewStorageWithOptions(inner, cache.NewObjectLRU(cached), options)
	own := excluded(folder)
	visible, err := withoutIgnored(tree, store, own)
	if err != nil {
		return 0, err
	}
	repository, err := git.Open(store, visible)
	if err != nil {
		return 0, err
	}
	worktree, err := repository.Worktree()
	if err != nil {
		return 0, err
	}
	worktree.Excludes = own
	status, err := worktree.Status()
	count := 0
	for _, file := range status {
		if file.Worktree != git.Unmodified || file.Staging != git.Unmodified {
			count++
		}
	}
	return count, err
}
