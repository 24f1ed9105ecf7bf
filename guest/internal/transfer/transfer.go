// Package transfer puts the programs of the guest's image where a sandbox finds them.
package transfer

import (
	"io"
	"os"
	"path/filepath"
)

// Programs are what the image holds.
var Programs = []string{"guest", "worktree"}

// Install copies the programs in one folder into another, each whole or not at all.
func Install(programs, folder string) error {
	for _, name := range Programs {
		if err := install(filepath.Join(programs, name), filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}

func install(program, place string) error {
	source, err := os.Open(program)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.CreateTemp(filepath.Dir(place), filepath.Base(place))
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
	return os.Rename(target.Name(), place)
}
