package checkout

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// place moves a finished clone into the workspace. It can be interrupted and gone on with at any point: what is still to
// be moved is what is still there, and a workspace has a checkout once it has .git, which comes last.
func place(workspace *os.Root) error {
	entries, err := fs.ReadDir(workspace.FS(), finished)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != dotGit {
			if err := move(workspace, entry.Name()); err != nil {
				return err
			}
		}
	}
	if err := move(workspace, dotGit); err != nil {
		return err
	}
	return workspace.Remove(finished)
}

func move(workspace *os.Root, name string) error {
	if _, err := workspace.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return refuse("the workspace already holds %q, which the repository has too; move it away", name)
	}
	return workspace.Rename(path.Join(finished, name), name)
}

// vacate makes room for a clone: it throws away what an interrupted one left, and nothing else.
func vacate(workspace *os.Root) error {
	if err := workspace.RemoveAll(unfinished); err != nil {
		return err
	}
	entries, err := fs.ReadDir(workspace.FS(), ".")
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return refuse("the workspace holds files, such as %q, but no checkout: move them away, or leave out spec.git",
			entries[0].Name())
	}
	return nil
}

// settle makes a clone fit to be placed: whatever user an image runs as can write it by the workspace's group, and all of
// it is on the disk.
func settle(workspace *os.Root) error {
	if os.Geteuid() == 0 {
		err := fs.WalkDir(workspace.FS(), unfinished, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Type()&fs.ModeSymlink != 0 {
				return err
			}
			held, err := entry.Info()
			if err != nil {
				return err
			}
			return workspace.Chmod(name, shared(held.Mode()))
		})
		if err != nil {
			return err
		}
	}
	folder, err := workspace.Open(unfinished)
	if err != nil {
		return err
	}
	defer folder.Close()
	return unix.Syncfs(int(folder.Fd()))
}

// shared gives the group what the owner may.
func shared(mode fs.FileMode) fs.FileMode {
	return mode&(fs.ModePerm|fs.ModeSetgid) | mode&0o700>>3
}
