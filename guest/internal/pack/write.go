package pack

import (
	"archive/tar"
	"crypto/sha256"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

const (
	imageRecord     = "SANDKEEPER.image"
	installedRecord = "SANDKEEPER.installed"
	deletedRecord   = "SANDKEEPER.deleted"
	// For readers that do not have the image.
	replacesRecord = "SANDKEEPER.replaces"
	// Both sides hold a window of this size.
	window = 4 << 20
)

// writeFile writes a pack, makes sure that it is on the disk, and reads it back.
//
// It has no more than may be unpacked, whatever grew since its size was taken.
func writeFile(path string, root *Root, label Label, found *changes, most bounds) (Result, error) {
	target, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Result{}, err
	}
	defer target.Close()
	sum := sha256.New()
	writer := &writer{places: places{root: root}, links: map[uint64]string{}, buffer: make([]byte, 256<<10), most: most}
	defer writer.places.leave(0)
	if err := writer.write(io.MultiWriter(target, sum), label, found); err != nil {
		return Result{}, err
	}
	writer.result.Digest = digest(sum.Sum(nil))
	if err := seal(target, sum); err != nil {
		return Result{}, err
	}
	writer.result.Bytes, err = target.Seek(0, io.SeekEnd)
	return writer.result, err
}

// seal ends a pack with its checksum, and compares it with what the disk then has.
func seal(target *os.File, sum hash.Hash) error {
	if _, err := target.Write(append([]byte(sealMark), sum.Sum(nil)...)); err != nil {
		return err
	}
	if err := target.Sync(); err != nil {
		return err
	}
	// Otherwise only memory would be read.
	if err := unix.Fadvise(int(target.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return err
	}
	_, err := checkSeal(target)
	return err
}

type writer struct {
	places places
	tar    *tar.Writer
	links  map[uint64]string
	buffer []byte
	// replaces says that the image has something where the entry at work is.
	replaces bool
	most     bounds
	result   Result
}

func (w *writer) write(target io.Writer, label Label, found *changes) error {
	packer, err := zstd.NewWriter(target, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window))
	if err != nil {
		return err
	}
	defer packer.Close()
	w.tar = tar.NewWriter(packer)
	head := tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "sandkeeper", PAXRecords: map[string]string{
		imageRecord: label.Image, installedRecord: label.Installed,
	}}
	if err := w.tar.WriteHeader(&head); err != nil {
		return err
	}
	if err := w.entries(found); err != nil {
		return err
	}
	if err := w.tar.Close(); err != nil {
		return err
	}
	return packer.Close()
}

// entries writes what is to be removed, then what is to be there.
func (w *writer) entries(found *changes) error {
	for _, path := range found.deleted {
		header := &tar.Header{Format: tar.FormatPAX, Name: path, Typeflag: tar.TypeReg}
		record(header, deletedRecord, "1")
		if err := w.header(header); err != nil {
			return err
		}
	}
	for _, change := range found.changed {
		w.replaces = change.replaces
		err := w.entry(change.path)
		if err != nil && !vanished(err) {
			return &os.PathError{Op: "pack", Path: "/" + change.path, Err: err}
		}
	}
	return nil
}

func (w *writer) header(header *tar.Header) error {
	if w.replaces {
		record(header, replacesRecord, "1")
	}
	if err := w.result.account(header, w.most); err != nil {
		return err
	}
	return w.tar.WriteHeader(header)
}

func (w *writer) entry(path string) error {
	parent, name, err := w.places.parent(path)
	if err != nil {
		return err
	}
	found := entry{path: path}
	if err := unix.Fstatat(parent, name, &found.status, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	switch {
	case found.kind() == unix.S_IFLNK:
		return w.symlink(parent, name, &found)
	case found.isFile() || found.isDir():
		return w.open(parent, name, &found)
	case found.packed():
		return w.header(headerOf(path, &found.status))
	}
	return nil
}

func (w *writer) symlink(parent int, name string, found *entry) error {
	buffer := make([]byte, unix.PathMax)
	size, err := unix.Readlinkat(parent, name, buffer)
	if err != nil {
		return err
	}
	header := headerOf(found.path, &found.status)
	header.Linkname = string(buffer[:size])
	return w.header(header)
}

// open packs a file or a folder by one descriptor, so that all of it is of the same.
func (w *writer) open(parent int, name string, found *entry) error {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	source := os.NewFile(uintptr(fd), found.path)
	defer source.Close()
	if err := unix.Fstat(fd, &found.status); err != nil {
		return err
	}
	header := headerOf(found.path, &found.status)
	if first, ok := w.links[found.inode()]; ok && found.linked() {
		header.Typeflag, header.Linkname = tar.TypeLink, first
		return w.header(header)
	}
	if err := readAttributes(fd, header); err != nil {
		return err
	}
	if !found.isFile() {
		return w.header(header)
	}
	if found.linked() {
		w.links[found.inode()] = found.path
	}
	return w.content(source, header, &found.status)
}

func (w *writer) content(source *os.File, header *tar.Header, status *unix.Stat_t) error {
	pieces := piecesOf(int(source.Fd()), status)
	describe(header, pieces, status.Size)
	if err := w.header(header); err != nil {
		return err
	}
	for _, piece := range pieces {
		data := io.NewSectionReader(source, piece.offset, piece.length)
		got, err := io.CopyBuffer(w.tar, readerOnly{data}, w.buffer)
		if err == nil && got < piece.length {
			_, err = io.CopyN(w.tar, zeros{}, piece.length-got)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readerOnly keeps io.CopyBuffer from another way that would not use its buffer.
type readerOnly struct{ io.Reader }
