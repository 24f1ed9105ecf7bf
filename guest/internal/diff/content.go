package diff

import (
	"bytes"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const contentAtOnce = 256 << 10

var errReplaced = errors.New("it changed meanwhile")

// differ compares two things of one name in two open folders.
func (p *pair) differ(a, b int, name string, old, now *unix.Stat_t) (bool, error) {
	if old.Mode != now.Mode || old.Uid != now.Uid || old.Gid != now.Gid {
		return true, nil
	}
	switch old.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return false, nil
	case unix.S_IFREG:
		if old.Size != now.Size {
			return true, nil
		}
		if old.Size == 0 || p.untouched(old, now) {
			return false, nil
		}
		same, err := p.sameContent(a, b, name, old, now)
		return !same, err
	case unix.S_IFLNK:
		return targetsDiffer(a, b, name)
	}
	return old.Rdev != now.Rdev, nil
}

// untouched says whether a file can't have been written to since the old volume was taken.
//
// Its ctime alone does not say so where it was written to shortly before.
func (p *pair) untouched(old, now *unix.Stat_t) bool {
	return p.alike && unmoved(old, now) && old.Mtim == now.Mtim && old.Ctim.Nano() < p.newest-unsettled.Nanoseconds()
}

// see learns from what both volumes have when the old one was taken at the earliest.
func (p *pair) see(old, now *unix.Stat_t) {
	if unmoved(old, now) {
		p.newest = max(p.newest, old.Ctim.Nano())
	}
}

func unmoved(old, now *unix.Stat_t) bool { return old.Ino == now.Ino && old.Ctim == now.Ctim }

func targetsDiffer(a, b int, name string) (bool, error) {
	old, now := make([]byte, unix.PathMax), make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(a, name, old)
	if err != nil {
		return false, err
	}
	m, err := unix.Readlinkat(b, name, now)
	return !bytes.Equal(old[:n], now[:max(m, 0)]), err
}

func (p *pair) sameContent(a, b int, name string, old, now *unix.Stat_t) (bool, error) {
	one, err := openSame(a, name, old)
	if err != nil {
		return false, err
	}
	defer one.Close()
	other, err := openSame(b, name, now)
	if err != nil {
		return false, err
	}
	defer other.Close()
	for at := int64(0); ; {
		// Holes take no time, however large they are.
		if at = min(dataFrom(one, at, old.Size), dataFrom(other, at, old.Size)); at >= old.Size {
			return true, nil
		}
		length := min(contentAtOnce, old.Size-at)
		if err := errors.Join(readAt(one, p.old[:length], at), readAt(other, p.now[:length], at)); err != nil {
			return false, err
		}
		if !bytes.Equal(p.old[:length], p.now[:length]) {
			return false, nil
		}
		at += length
	}
}

// openSame opens a file that has to be the one that was seen.
func openSame(parent int, name string, seen *unix.Stat_t) (*os.File, error) {
	file, err := openFile(parent, name)
	if err != nil {
		return nil, err
	}
	var status unix.Stat_t
	err = unix.Fstat(int(file.Fd()), &status)
	if err == nil && (status.Ino != seen.Ino || status.Size != seen.Size) {
		err = errReplaced
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// dataFrom is where the next data of a file is; where nobody can tell, there is some at once.
func dataFrom(file *os.File, at, size int64) int64 {
	next, err := unix.Seek(int(file.Fd()), at, unix.SEEK_DATA)
	if err == unix.ENXIO {
		return size
	}
	if err != nil {
		return at
	}
	return next
}

func readAt(file *os.File, buffer []byte, at int64) error {
	_, err := io.ReadFull(io.NewSectionReader(file, at, int64(len(buffer))), buffer)
	return err
}
