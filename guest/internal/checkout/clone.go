package checkout

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"sandkeeper.dev/guest/internal/credential"
)

// large is from which size on files go through memory by pieces.
const large = 1 << 20

// clone makes a whole clone in an empty workspace, beside its place.
func clone(ctx context.Context, workspace *os.Root, wanted Wanted) error {
	if err := vacate(workspace); err != nil {
		return err
	}
	if err := workspace.Mkdir(unfinished, 0o777); err != nil {
		return err
	}
	wanted.Log.Printf("cloning %s", wanted.Repository)
	if err := fill(ctx, filepath.Join(workspace.Name(), unfinished), wanted); err != nil {
		return errors.Join(err, workspace.RemoveAll(unfinished))
	}
	repository, err := workspace.OpenRoot(filepath.Join(unfinished, dotGit))
	if err != nil {
		return err
	}
	defer repository.Close()
	if err := (mark{wanted.Repository, wanted.Branch}).write(repository); err != nil {
		return err
	}
	if err := settle(workspace); err != nil {
		return err
	}
	wanted.Log.Printf("on branch %s", wanted.Branch)
	return workspace.Rename(unfinished, finished)
}

// fill clones into a new folder. The file systems are bound to it: a link that the repository holds leads nowhere else.
func fill(ctx context.Context, folder string, wanted Wanted) error {
	tree := osfs.New(folder, osfs.WithBoundOS())
	inner := osfs.New(filepath.Join(folder, dotGit), osfs.WithBoundOS())
	options := filesystem.Options{LargeObjectThreshold: large}
	store := filesystem.NewStorageWithOptions(inner, cache.NewObjectLRUDefault(), options)
	repository, err := git.Init(store, tree)
	if err != nil {
		return err
	}
	server, err := repository.CreateRemote(&config.RemoteConfig{Name: remote, URLs: []string{wanted.Repository}})
	if err != nil {
		return err
	}
	access, err := accessWith(wanted.Secret)
	if err != nil {
		return err
	}
	start, err := fetch(ctx, server, access, wanted)
	if err != nil {
		return err
	}
	return checkOut(repository, start, wanted)
}

// fetch gets all branches and tags, once it is known that there is what the branch is to begin at.
func fetch(ctx context.Context, server *git.Remote, access access, wanted Wanted) (start, error) {
	offered, err := server.ListContext(ctx, &git.ListOptions{Auth: access.auth(), CABundle: access.authorities})
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return start{}, nil
	}
	if err != nil {
		return start{}, err
	}
	begin, err := startOf(offered, wanted)
	if err != nil {
		return start{}, err
	}
	err = server.FetchContext(ctx, &git.FetchOptions{
		Auth:     access.auth(),
		CABundle: access.authorities,
		Tags:     git.AllTags,
		Progress: progress{wanted.Log},
	})
	if errors.Is(err, git.NoErrAlreadyUpToDate) {
		err = nil
	}
	return begin, err
}

// checkOut makes the sandbox's branch and its files.
func checkOut(repository *git.Repository, begin start, wanted Wanted) error {
	branch := plumbing.NewBranchReferenceName(wanted.Branch)
	if err := repository.Storer.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, branch)); err != nil {
		return err
	}
	if begin.hash.IsZero() {
		return nil
	}
	commit, err := begin.commit(repository, wanted)
	if err != nil {
		return err
	}
	if err := repository.Storer.SetReference(plumbing.NewHashReference(branch, commit)); err != nil {
		return err
	}
	if begin.main != "" {
		name := plumbing.NewRemoteHEADReferenceName(remote)
		target := plumbing.NewRemoteReferenceName(remote, begin.main)
		if err := repository.Storer.SetReference(plumbing.NewSymbolicReference(name, target)); err != nil {
			return err
		}
	}
	return checkOutFrom(repository, begin, commit, wanted)
}

func checkOutFrom(repository *git.Repository, begin start, commit plumbing.Hash, wanted Wanted) error {
	branch := plumbing.NewBranchReferenceName(wanted.Branch)
	if begin.continued {
		tracked := &config.Branch{Name: wanted.Branch, Remote: remote, Merge: branch}
		if err := repository.CreateBranch(tracked); err != nil {
			return err
		}
	}
	tree, err := repository.Worktree()
	if err != nil {
		return err
	}
	return tree.Reset(&git.ResetOptions{Mode: git.HardReset, Commit: commit})
}

// access is what a server asks for and is trusted by.
type access struct {
	login       credential.Login
	authorities []byte
}

func accessWith(secret credential.Secret) (access, error) {
	login, err := secret.Login()
	if err != nil {
		return access{}, refuse("%v", err)
	}
	authorities, err := secret.Authorities()
	return access{login, authorities}, err
}

func (a access) auth() transport.AuthMethod {
	if a.login == (credential.Login{}) {
		return nil
	}
	return &http.BasicAuth{Username: a.login.Username, Password: a.login.Password}
}
