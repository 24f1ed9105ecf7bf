package pack

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	markFile       = "reinstalled"
	markUnfinished = "reinstalled.unfinished"
)

// IsMarked says whether the folder holds exactly this mark: whoever does not know it can't have made it look so.
//
// What is there may be anything: a link is not followed, a pipe not waited for, and no more read than the mark has.
func (s *Store) IsMarked(mark string) (bool, error) {
	source, err := os.OpenFile(filepath.Join(s.folder, markFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if vanished(err) || errors.Is(err, os.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer source.Close()
	status, err := source.Stat()
	if err != nil || !status.Mode().IsRegular() || status.Size() != int64(len(mark)) {
		return false, err
	}
	held, err := io.ReadAll(io.LimitReader(source, int64(len(mark))+1))
	return string(held) == mark, err
}

// Mark has the folder hold a mark, whole or not at all, whatever is in its place. The error is always a *Failure.
func (s *Store) Mark(mark string) error {
	err := s.mark(mark)
	if err == nil {
		return nil
	}
	if isFull(err) {
		return &Failure{Reason: VolumeFull, Message: "the workspace volume has no room for the mark of a new installation"}
	}
	return asFailure(err)
}

func (s *Store) mark(mark string) error {
	temporary, final := filepath.Join(s.folder, markUnfinished), filepath.Join(s.folder, markFile)
	// A file is never renamed over a folder.
	for _, path := range []string{temporary, final} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	err := writeSynced(temporary, mark)
	if err == nil {
		err = os.Rename(temporary, final)
	}
	if err != nil {
		os.Remove(temporary)
		return err
	}
	return syncFolder(s.folder)
}

func writeSynced(path, content string) error {
	target, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer target.Close()
	if _, err := target.WriteString(content); err != nil {
		return err
	}
	return target.Sync()
}

// SetAside has the next pack be the first one: that which is there, if any, is neither read nor used.
func (s *Store) SetAside() error {
	err := s.setAside()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
