package pack

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// Without a limit of its own, a pack asks for more than any root file system holds where it asks for this.
const (
	mostEntries = 4 << 20
	mostBytes   = 1 << 40
)

// errContent is a pack that no guest wrote, or whose bytes went wrong.
var errContent = errors.New("the pack is not to be used")

// Unpack brings the pack into the root file system if there is one of the same image, and returns what it has
// installed; that is empty where there is none to use.
//
// A pack that makes no sense is set aside, so that the next start does without; the root file system is then not to
// be used any further.
func (s *Store) Unpack(say func(format string, words ...any)) (installed string, err error) {
	path := filepath.Join(s.folder, file)
	source, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer source.Close()
	if err := checkSeal(source); errors.Is(err, errDamaged) {
		say("the pack is set aside: %v", err)
		return "", s.setAside()
	} else if err != nil {
		return "", err
	}
	label, result, err := s.unpack(source, say)
	if errors.Is(err, errContent) {
		err = errors.Join(err, s.setAside())
	}
	if err != nil || label.Image != s.index.image {
		return "", err
	}
	return label.Installed, s.remember(label, result)
}

func (s *Store) setAside() error {
	return os.Rename(filepath.Join(s.folder, file), filepath.Join(s.folder, refused))
}

// remember notes what the root file system is like with the pack in it.
func (s *Store) remember(label Label, result Result) error {
	root, err := OpenRoot(s.path)
	if err != nil {
		return err
	}
	defer root.Close()
	found, err := s.index.compare(root)
	if err != nil {
		return err
	}
	s.state, s.label, s.result = found.state, label, result
	return nil
}

func (s *Store) unpack(source *os.File, say func(string, ...any)) (Label, Result, error) {
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return Label{}, Result{}, err
	}
	plain, err := zstd.NewReader(source, zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return Label{}, Result{}, err
	}
	defer plain.Close()
	root, err := OpenRoot(s.path)
	if err != nil {
		return Label{}, Result{}, err
	}
	defer root.Close()
	reader := &reader{
		tar:    tar.NewReader(plain),
		places: places{root: root, making: true},
		bytes:  cmp.Or(s.limit, mostBytes),
		most:   s.most,
		buffer: make([]byte, 256<<10),
	}
	defer reader.places.leave(0)
	label, err := reader.label()
	if err != nil || label.Image != s.index.image {
		return label, Result{}, err
	}
	err = reader.entries()
	if reader.skipped > 0 {
		say("%d entries of the pack lie where something is mounted now, and were left out", reader.skipped)
	}
	return label, reader.result, err
}

type reader struct {
	tar     *tar.Reader
	places  places
	bytes   int64
	most    int
	buffer  []byte
	skipped int
	result  Result
}

func (r *reader) label() (Label, error) {
	head, err := r.tar.Next()
	if err != nil {
		return Label{}, judged(err)
	}
	if head.Typeflag != tar.TypeXGlobalHeader {
		return Label{}, fmt.Errorf("%w: it does not say what it is made of", errContent)
	}
	return Label{Image: head.PAXRecords[imageRecord], Installed: head.PAXRecords[installedRecord]}, nil
}

func (r *reader) entries() error {
	for {
		header, err := r.tar.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return judged(err)
		}
		if err := r.account(header); err != nil {
			return err
		}
		err = r.entry(header)
		if errors.Is(err, errElsewhere) {
			r.skipped++
		} else if err != nil {
			return fmt.Errorf("unpacking %q: %w", "/"+header.Name, judged(err))
		}
	}
}

// account counts an entry against the bounds.
func (r *reader) account(header *tar.Header) error {
	r.result.Entries++
	r.result.UnpackedBytes += header.Size
	if r.result.UnpackedBytes > r.bytes {
		return fmt.Errorf("%w: it has more than the limit of %s", errContent, size(r.bytes))
	}
	if r.result.Entries > r.most {
		return fmt.Errorf("%w: it has more than %d entries", errContent, r.most)
	}
	return nil
}

// judged tells a wrong pack from what may go well another time, or elsewhere.
func judged(err error) error {
	for _, circumstance := range []error{
		unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EROFS, unix.EPERM, unix.EACCES,
	} {
		if errors.Is(err, circumstance) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", errContent, err)
}

func (r *reader) entry(header *tar.Header) error {
	if header.PAXRecords[deletedRecord] != "" {
		return r.remove(header.Name)
	}
	name := header.Name
	if header.Typeflag == tar.TypeDir && len(name) > 1 && name[len(name)-1] == '/' {
		name = name[:len(name)-1]
	}
	parent, name, err := r.places.parent(name)
	if err != nil {
		return err
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
	for _, harmless := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENOTEMPTY, unix.EBUSY} {
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
	if err := emptied(parent, name); err != nil {
		return err
	}
	fd, err := unix.Openat(parent, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
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
	return dress(fd, parent, name, header)
}

func (r *reader) folder(parent int, name string, header *tar.Header) error {
	err := unix.Mkdirat(parent, name, 0o700)
	if err != nil && err != unix.EEXIST {
		return err
	}
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return dress(fd, parent, name, header)
}

// dress gives an open file or folder what its header says. The owner comes first: a change of it takes away rights.
func dress(fd, parent int, name string, header *tar.Header) error {
	if err := unix.Fchown(fd, header.Uid, header.Gid); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, uint32(header.Mode&0o7777)); err != nil {
		return err
	}
	if err := writeAttributes(fd, header); err != nil {
		return err
	}
	return setTimes(parent, name, header)
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
