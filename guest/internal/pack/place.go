package pack

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	// errElsewhere is a place that is not part of the root file system proper.
	errElsewhere = errors.New("not in the root file system")
	// errHostile is an entry that no pack of ours has.
	errHostile = errors.New("not a path of a pack")
)

// places finds folders in a root, step by step and never through a symbolic link or a mount.
//
// The folders on the way to the last place stay open, so that a neighbour costs nothing.
type places struct {
	root  *Root
	names []string
	fds   []int
	// making makes folders that are missing.
	making bool
}

// parent returns the open folder that a path is in, and its name there. The folder is open until the next call.
func (p *places) parent(path string) (int, string, error) {
	if err := p.check(path); err != nil {
		return 0, "", err
	}
	names := strings.Split(path, "/")
	folders, name := names[:len(names)-1], names[len(names)-1]
	common := 0
	for common < len(folders) && common < len(p.names) && folders[common] == p.names[common] {
		common++
	}
	p.leave(common)
	for _, folder := range folders[common:] {
		if err := p.enter(folder); err != nil {
			return 0, "", &os.PathError{Op: "enter", Path: "/" + path, Err: err}
		}
	}
	return p.here(), name, nil
}

func (p *places) check(path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if p.root.leftOut(path) {
		return &os.PathError{Op: "find", Path: "/" + path, Err: errElsewhere}
	}
	return nil
}

// checkPath refuses what no pack of ours calls anything.
func checkPath(path string) error {
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." || name == ".." || strings.ContainsRune(name, 0) {
			return &os.PathError{Op: "find", Path: path, Err: errHostile}
		}
	}
	return nil
}

func (p *places) here() int {
	if len(p.fds) == 0 {
		return p.root.fd
	}
	return p.fds[len(p.fds)-1]
}

func (p *places) enter(name string) error {
	flags := unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(p.here(), name, flags, 0)
	if err == unix.ENOENT && p.making {
		if err = unix.Mkdirat(p.here(), name, 0o700); err == nil {
			fd, err = unix.Openat(p.here(), name, flags, 0)
		}
	}
	if err != nil {
		return err
	}
	var status unix.Stat_t
	if err = unix.Fstat(fd, &status); err == nil && status.Dev != p.root.device {
		err = errElsewhere
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	p.names, p.fds = append(p.names, name), append(p.fds, fd)
	return nil
}

// leave closes the open folders but the first few.
func (p *places) leave(kept int) {
	for _, fd := range p.fds[kept:] {
		unix.Close(fd)
	}
	p.names, p.fds = p.names[:kept], p.fds[:kept]
}
