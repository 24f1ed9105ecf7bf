package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	folder, err := os.MkdirTemp("", "setup-")
	if err != nil {
		return r.failed(1, fmt.Sprintf("the script could not be written to a file: %v", err))
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, "setup")
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		return r.failed(1, fmt.Sprintf("the script could not be written to a file: %v", err))
	}
	return r.execute(nil, file)
}
