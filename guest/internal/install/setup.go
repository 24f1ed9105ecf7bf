package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const shell = "/bin/sh"

// setup runs the user's script: by the program that its first line names, else by the shell, which stops at the first
// command that fails and at a variable that is not set.
func (r *run) setup(script string) error {
	if strings.TrimSpace(script) == "" {
		return nil
	}
	r.begin("setup", nil)
	if interpreter, ok := hashbang(script); ok {
		return r.scriptFile(interpreter, script)
	}
	if _, err := os.Stat(shell); errors.Is(err, fs.ErrNotExist) {
		line := fmt.Sprintf("%s is not in %s; name another program in the script's first line, as #!/usr/bin/python3", shell, r.image())
		return r.failed(codeMissing, line)
	}
	return r.execute(nil, shell, "-eu", "-c", script)
}

// hashbang returns the program that a script's first line names.
func hashbang(script string) (string, bool) {
	line, _, _ := strings.Cut(script, "\n")
	words, ok := strings.CutPrefix(line, "#!")
	if fields := strings.Fields(words); ok && len(fields) > 0 {
		return fields[0], true
	}
	return "", false
}

// scriptFile runs a script as a program of its own, so that the kernel reads the first line.
func (r *run) scriptFile(interpreter, script string) error {
	if _, err := os.Stat(interpreter); err != nil {
		line := fmt.Sprintf("%s, which the script's first line names, is not in %s", interpreter, r.image())
		return r.failed(codeMissing, line)
	}
	file, remove, err := r.written(script)
	if err != nil {
		return r.failed(1, fmt.Sprintf("the script could not be written to a file: %v", err))
	}
	defer remove()
	return r.execute(nil, file)
}

// written returns a file with the script that can be executed, and what removes it: in the folder for such, in our own
// where an image has none or nothing may be executed there, and in memory where we may write to neither.
//
// Memory comes last, since some programs want a real path.
func (r *run) written(script string) (file string, remove func(), err error) {
	for _, place := range []string{os.TempDir(), filepath.Join(r.root, ".sandkeeper")} {
		folder, err := os.MkdirTemp(place, "setup-")
		if err != nil {
			continue
		}
		remove := func() { _ = os.RemoveAll(folder) }
		file := filepath.Join(folder, "setup")
		if os.WriteFile(file, []byte(script), 0o700) == nil && executes(folder) {
			return file, remove, nil
		}
		remove()
	}
	return inMemory(script)
}

func executes(folder string) bool {
	var status unix.Statfs_t
	return unix.Statfs(folder, &status) == nil && status.Flags&unix.ST_NOEXEC == 0
}

func inMemory(script string) (string, func(), error) {
	fd, err := unix.MemfdCreate("setup", unix.MFD_CLOEXEC)
	if err != nil {
		return "", nil, err
	}
	file := os.NewFile(uintptr(fd), "setup")
	remove := func() { _ = file.Close() }
	if _, err := file.WriteString(script); err != nil {
		remove()
		return "", nil, err
	}
	// By our own number, since the interpreter opens it anew.
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), remove, nil
}
