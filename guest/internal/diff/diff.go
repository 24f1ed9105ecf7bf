// Package diff tells what changed between two volumes of a sandbox: its files, what its packs have, packages, and Git.
//
// Both volumes were a tenant's to write. Nothing in them is executed; no link in them is followed, no pipe opened, and no
// more kept in memory than is bounded here, however much there is.
package diff

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Run compares two mounted volumes, writes a line of JSON for each change to out, and returns their summary, which is
// also the last line.
//
// A folder comes before what is in it, and names come in the order of their bytes. What can't be read is told to log,
// counted in the summary, and no error; an error is a path that is no volume of a sandbox, or an out that fails.
func Run(before, after string, out, log io.Writer) (Summary, error) {
	old, err := openVolume(before)
	if err != nil {
		return Summary{}, err
	}
	defer old.close()
	now, err := openVolume(after)
	if err != nil {
		return Summary{}, err
	}
	defer now.close()
	buffered := bufio.NewWriterSize(out, 64<<10)
	r := &report{out: plain(buffered), log: log}
	r.system(old, now)
	r.workspace(old, now)
	r.summary.Git = r.git(old, now)
	r.endLog()
	r.write(map[string]any{"summary": r.summary})
	if r.failure == nil {
		r.failure = buffered.Flush()
	}
	return r.summary, r.failure
}

var errNoFile = errors.New("it is no regular file")

// volume is one of the two.
type volume struct {
	path      string
	root      int
	workspace int
}

func openVolume(path string) (*volume, error) {
	root, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	workspace, err := openFolder(root, "workspace")
	if err != nil {
		unix.Close(root)
		return nil, fmt.Errorf("%s is no volume of a sandbox: its folder workspace can't be opened: %w", path, err)
	}
	return &volume{path: path, root: root, workspace: workspace}, nil
}

func (v *volume) close() {
	unix.Close(v.workspace)
	unix.Close(v.root)
}

func openFolder(parent int, name string) (int, error) {
	return unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// openFile opens a regular file by its steps from a folder, through no link; a pipe is not waited for.
func openFile(parent int, steps ...string) (*os.File, error) {
	at := parent
	for _, step := range steps[:len(steps)-1] {
		inside, err := openFolder(at, step)
		if at != parent {
			unix.Close(at)
		}
		if err != nil {
			return nil, err
		}
		at = inside
	}
	name := steps[len(steps)-1]
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if at != parent {
		unix.Close(at)
	}
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	status, err := file.Stat()
	if err == nil && !status.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}
