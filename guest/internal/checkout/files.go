package checkout

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

const (
	// longest is far beyond any HEAD, ref, configuration or mark.
	longest = 1 << 20
	// scratch is where a file is written before it takes its name.
	scratch = "sandkeeper-new"
)

// read reads a file of a repository that anybody may have made: nothing but a plain file, which a pipe or a link is not.
func read(repository *os.Root, name string) (string, error) {
	held, err := repository.Lstat(name)
	if err != nil {
		return "", err
	}
	if !held.Mode().IsRegular() {
		return "", refuse(".git/%s is no plain file", name)
	}
	file, err := repository.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, longest))
	return string(content), err
}

// write puts a file of a repository into its place, whole or not at all; a link there is replaced, not followed. It
// belongs to whom the repository does.
func write(repository *os.Root, name, content string) error {
	if err := repository.Remove(scratch); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := repository.OpenFile(scratch, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err = errors.Join(err, file.Sync(), file.Close(), give(repository, scratch)); err != nil {
		return err
	}
	if held, err := repository.Lstat(name); err == nil && held.IsDir() {
		// Git leaves empty folders where refs were.
		if err := repository.Remove(name); err != nil {
			return err
		}
	}
	return repository.Rename(scratch, name)
}

// makeFolders makes the folders above a file.
func makeFolders(repository *os.Root, name string) error {
	folder := path.Dir(name)
	if folder == "." {
		return nil
	}
	if err := makeFolders(repository, folder); err != nil {
		return err
	}
	err := repository.Mkdir(folder, 0o777)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return give(repository, folder)
}

// give hands what was made to the owner of the repository, where that may be somebody else.
func give(repository *os.Root, name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := repository.Stat(".")
	if err != nil {
		return err
	}
	status, _ := owner.Sys().(*syscall.Stat_t)
	return repository.Lchown(name, int(status.Uid), int(status.Gid))
}
