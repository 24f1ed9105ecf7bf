package pack

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// entry brings about what one entry of a pack says.
func (r *reader) entry(header *tar.Header) error {
	if header.PAXRecords[deletedRecord] != "" {
		return r.remove(header.Name)
	}
	// archive/tar marks folders by a slash.
	path := strings.TrimSuffix(header.Name, "/")
	parent, name, err := r.places.parent(path)
	if err != nil {
		return err
	}
	if header.Typeflag != tar.TypeDir && r.places.root.isAboveMount(path) {
		return &os.PathError{Op: "replace", Path: "/" + path, Err: errElsewhere}
	}
	switch header.Typeflag {
	case tar.TypeReg:
		return r.file(parent, name, header)
	case tar.TypeDir:
		return r.folder(parent, name, header)
	case tar.TypeSymlink, tar.TypeFifo:
		return r.special(parent, name, header)
	case tar.TypeLink:
		return r.link(parent, name, header)
	}
	return errHostile
}

// remove takes away what was deleted: no folder that has something in it, and nothing that is mounted.
func (r *reader) remove(path string) error {
	r.places.making = false
	defer func() { r.places.making = true }()
	parent, name, err := r.places.parent(path)
	if err == nil {
		err = clearPlace(parent, name)
	}
	for _, harmless := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENOTEMPTY, unix.EBUSY, unix.EACCES} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	return err
}

// clearPlace removes what is at a place, an empty folder too.
func clearPlace(parent int, name string) error {
	err := unix.Unlinkat(parent, name, 0)
	if err == unix.EISDIR {
		err = unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
	}
	return err
}

func emptied(parent int, name string) error {
	if err := clearPlace(parent, name); err != unix.ENOENT {
		return err
	}
	return nil
}

func (r *reader) file(parent int, name string, header *tar.Header) error {
	pieces, size, err := described(header)
	if err != nil {
		return err
	}
	fd, err := created(parent, name)
	if err != nil {
		return err
	}
	if header.Size <= smallFile && header.Size == size {
		return r.hands.give(fd, header, r.tar)
	}
	target := os.NewFile(uintptr(fd), header.Name)
	defer target.Close()
	for _, piece := range pieces {
		data := io.LimitedReader{R: r.tar, N: piece.length}
		if _, err := io.CopyBuffer(io.NewOffsetWriter(target, piece.offset), &data, r.buffer); err != nil {
			return err
		}
		if data.N > 0 {
			return io.ErrUnexpectedEOF
		}
	}
	if size > header.Size {
		if err := target.Truncate(size); err != nil {
			return err
		}
	}
	return dress(fd, header)
}

// created makes a new file in the place of what may be there, which seldom is anything.
func created(parent int, name string) (int, error) {
	flags := unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(parent, name, flags, 0o600)
	if err != unix.EEXIST {
		return fd, err
	}
	if err := emptied(parent, name); err != nil {
		return 0, err
	}
	return unix.Openat(parent, name, flags, 0o600)
}

func (r *reader) folder(parent int, name string, header *tar.Header) error {
	made := unix.Mkdirat(parent, name, 0o700)
	if made != nil && made != unix.EEXIST {
		return made
	}
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = dress(fd, header)
	if err == unix.EPERM && made == unix.EEXIST {
		// Without root, a folder of the image that belongs to another user is as it was but for its time.
		return nil
	}
	return err
}

// dress gives an open file or folder what its header says. The owner comes first: a change of it takes away rights.
func dress(fd int, header *tar.Header) error {
	if err := unix.Fchown(fd, header.Uid, header.Gid); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, uint32(header.Mode&0o7777)); err != nil {
		return err
	}
	if err := writeAttributes(fd, header); err != nil {
		return err
	}
	return setOpenTimes(fd, header)
}

// setOpenTimes is futimens, which Go's wrappers lack.
func setOpenTimes(fd int, header *tar.Header) error {
	times := timesOf(header)
	_, _, err := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times[0])), 0, 0, 0)
	if err != 0 {
		return err
	}
	return nil
}

func setTimes(parent int, name string, header *tar.Header) error {
	return unix.UtimesNanoAt(parent, name, timesOf(header), unix.AT_SYMLINK_NOFOLLOW)
}

func (r *reader) special(parent int, name string, header *tar.Header) error {
	if err := emptied(parent, name); err != nil {
		return err
	}
	var err error
	if header.Typeflag == tar.TypeSymlink {
		err = unix.Symlinkat(header.Linkname, parent, name)
	} else {
		err = unix.Mknodat(parent, name, unix.S_IFIFO|uint32(header.Mode&0o777), 0)
	}
	if err != nil {
		return err
	}
	if err := unix.Fchownat(parent, name, header.Uid, header.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeFifo {
		if err := unix.Fchmodat(parent, name, uint32(header.Mode&0o7777), 0); err != nil {
			return err
		}
	}
	return setTimes(parent, name, header)
}

// link makes another name of a file that came before.
func (r *reader) link(parent int, name string, header *tar.Header) error {
	if r.places.root.isAboveMount(header.Linkname) {
		return &os.PathError{Op: "link", Path: "/" + header.Linkname, Err: errElsewhere}
	}
	first := places{root: r.places.root}
	defer first.leave(0)
	from, former, err := first.parent(header.Linkname)
	if err != nil {
		return err
	}
	var status unix.Stat_t
	if err := unix.Fstatat(from, former, &status, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if status.Mode&unix.S_IFMT != unix.S_IFREG || status.Dev != r.places.root.device {
		return errHostile
	}
	if err := emptied(parent, name); err != nil {
		return err
	}
	return unix.Linkat(from, former, parent, name, 0)
}
