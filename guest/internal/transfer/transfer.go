// Package transfer puts the guest's own program where a sandbox finds it.
package transfer

import (
	"io"
	"os"
	"path/filepath"
)

const name = "guest"

// Install copies a program into a folder under the guest's name, whole or not at all.
func Install(program, folder string) error {
	source, err := os.Open(program)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.CreateTemp(folder, name)
	if err != nil {
		return err
	}
	defer os.Remove(target.Name())
	defer target.Close()
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	if err := target.Chmod(0o755); err != nil {
		return err
	}
	if err := target.Close(); err != nil {
		return err
	}
	return os.Rename(target.Name(), filepath.Join(folder, name))
}
