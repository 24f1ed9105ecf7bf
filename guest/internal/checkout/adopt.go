package checkout

import (
	"errors"
	"io/fs"
	"os"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// adopt takes over a checkout that is there. One that was put on its branch before is left alone, whatever branch its
// user went to since; one that comes from another sandbox, or is to have another branch, gets it from where HEAD is.
// Files and index stay as they are, so nothing that is not committed is lost.
func adopt(workspace *os.Root, wanted Wanted) error {
	repository, err := workspace.OpenRoot(dotGit)
	if err != nil {
		return err
	}
	defer repository.Close()
	held := readMark(repository)
	if held.Repository != "" && !isSame(held.Repository, wanted.Repository) {
		return refuse("the workspace holds a checkout of %s, which is kept: name that as spec.git.repository again, "+
			"or move the checkout away first", address(held.Repository))
	}
	if held.Branch == wanted.Branch {
		return nil
	}
	if why := unsettled(repository); why != "" {
		wanted.Log.Printf("%s; the branch is left as it is", why)
		return nil
	}
	if err := branchOff(repository, branches+wanted.Branch); err != nil {
		return err
	}
	wanted.Log.Printf("on branch %s, from where HEAD was", wanted.Branch)
	return mark{wanted.Repository, wanted.Branch}.write(repository)
}

// unsettled tells why HEAD must not be moved now; empty where it may.
func unsettled(repository *os.Root) string {
	for name, why := range map[string]string{
		"rebase-merge": "a rebase is going on",
		"rebase-apply": "a rebase is going on",
		"reftable":     "the repository keeps its refs in tables",
	} {
		if _, err := repository.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return why
		}
	}
	return ""
}

// branchOff puts HEAD on a branch at the commit where HEAD is. A branch that is there is moved forward, never elsewhere.
func branchOff(repository *os.Root, branch string) error {
	at, err := readHead(repository)
	if err != nil || at.ref == branch {
		return err
	}
	there, err := readRef(repository, branch)
	if err != nil {
		return err
	}
	if there != "" && there != at.commit && !leadsTo(repository, there, at.commit) {
		return refuse("branch %q of the checkout has commits that HEAD has not, so it is not taken: merge it or give it "+
			"another name, or name another spec.git.branch", branch[len(branches):])
	}
	if there != at.commit {
		if err := writeRef(repository, branch, at.commit); err != nil {
			return err
		}
	}
	return write(repository, "HEAD", "ref: "+branch+"\n")
}

// leadsTo tells whether a commit is an ancestor of another; of commits that can't be read it is not.
func leadsTo(repository *os.Root, ancestor, commit string) bool {
	objects := filesystem.NewStorage(osfs.New(repository.Name(), osfs.WithBoundOS()), cache.NewObjectLRUDefault())
	older, err := object.GetCommit(objects, plumbing.NewHash(ancestor))
	if err != nil {
		return false
	}
	newer, err := object.GetCommit(objects, plumbing.NewHash(commit))
	if err != nil {
		return false
	}
	found, err := older.IsAncestor(newer)
	return err == nil && found
}
