package pack

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Without a limit of its own, a pack asks for more than any root file system holds where it asks for this.
const (
	mostEntries = 4 << 20
	mostBytes   = 1 << 40
)

// bounds are what a pack may have at most.
type bounds struct {
	bytes   int64
	entries int
}

// account counts an entry against the bounds.
func (r *Result) account(header *tar.Header, most bounds) error {
	r.Entries++
	r.UnpackedBytes += header.Size
	if r.UnpackedBytes > most.bytes {
		return fmt.Errorf("%w of %s", errTooMuch, size(most.bytes))
	}
	if r.Entries > most.entries {
		return fmt.Errorf("%w of %d entries", errTooMuch, most.entries)
	}
	return nil
}

// errTooMuch is a pack beyond the bounds, which somebody may have lowered since it was made.
var errTooMuch = errors.New("the pack has more than the limit")

// errContent is a pack that no guest wrote, or whose bytes went wrong.
var errContent = errors.New("the pack is not to be used")

// Unpack brings the pack into the root file system if there is one of the same image, and returns what it has
// installed; that is empty where there is none to use.
//
// A pack that makes no sense is set aside, so that the next start does without; the root file system is then not to
// be used any further.
func (s *Store) Unpack() (installed string, err error) {
	path := filepath.Join(s.folder, file)
	source, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if vanished(err) {
		s.say("the pack is set aside: it is no file")
		return "", s.setAside()
	}
	if err != nil {
		return "", err
	}
	defer source.Close()
	sum, err := checkSeal(source)
	if errors.Is(err, errDamaged) {
		s.say("the pack is set aside: %v", err)
		return "", s.setAside()
	}
	if err != nil {
		return "", err
	}
	touched := map[string]bool{"": true}
	label, result, err := s.unpack(source, touched)
	if errors.Is(err, errContent) {
		err = errors.Join(err, s.setAside())
	}
	if err != nil {
		return "", err
	}
	if label.Image != s.index.image() {
		s.say("the pack is not used: it was made on another image")
		return "", nil
	}
	result.Digest = digest(sum)
	if result.Bytes, err = source.Seek(0, io.SeekEnd); err != nil {
		return "", err
	}
	return label.Installed, s.remember(label, result, touched)
}

func (s *Store) bounds() bounds { return bounds{bytes: cmp.Or(s.limit, mostBytes), entries: s.most} }

func (s *Store) setAside() error {
	// What is not trusted with a pack is not with an index, either.
	for _, name := range []string{refused, indexFile} {
		if err := os.RemoveAll(filepath.Join(s.folder, name)); err != nil {
			return err
		}
	}
	return os.Rename(filepath.Join(s.folder, file), filepath.Join(s.folder, refused))
}

// remember notes what the root file system is like with the pack in it, which has changed it in these folders alone.
func (s *Store) remember(label Label, result Result, touched map[string]bool) error {
	root, err := OpenRoot(s.path)
	if err != nil {
		return err
	}
	defer root.Close()
	found, err := s.index.compareIn(touched, root)
	if err != nil {
		return err
	}
	s.state, s.label, s.result = found.state, label, result
	return nil
}

// unpack brings about what a pack says, and notes the folders in which it does.
func (s *Store) unpack(source *os.File, touched map[string]bool) (Label, Result, error) {
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return Label{}, Result{}, err
	}
	plain, err := decompressed(source)
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
		tar:     tar.NewReader(plain),
		places:  places{root: root, making: true},
		touched: touched,
		most:    s.bounds(),
		buffer:  make([]byte, 256<<10),
	}
	defer reader.places.leave(0)
	label, err := labelOf(reader.tar)
	if err != nil || label.Image != s.index.image() {
		return label, Result{}, err
	}
	reader.hands = newHands()
	err = reader.entries()
	// Whatever went wrong, nothing is written any more once this has returned.
	if failed := reader.hands.rest(); err == nil {
		err = failed
	}
	if reader.skipped > 0 {
		s.say("%d entries of the pack, the first is /%s, are left out: something is mounted there now, or below",
			reader.skipped, reader.firstSkipped)
	}
	return label, reader.result, err
}

type reader struct {
	tar    *tar.Reader
	places places
	// touched are the folders in which something is made or removed, and those that they are in.
	touched map[string]bool
	most    bounds
	buffer  []byte
	hands   *hands
	skipped int
	// firstSkipped is the path of the first entry that was skipped.
	firstSkipped string
	result       Result
}

func labelOf(archive *tar.Reader) (Label, error) {
	head, err := archive.Next()
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
		if err := r.result.account(header, r.most); err != nil {
			return err
		}
		r.touch(header.Name)
		// Another name changes the file, too.
		r.touch(header.Linkname)
		err = r.entry(header)
		if errors.Is(err, errElsewhere) {
			r.skip(header.Name)
		} else if err != nil {
			return fmt.Errorf("unpacking %q: %w", "/"+header.Name, judged(err))
		}
	}
}

func (r *reader) touch(path string) {
	for folder := folderOf(strings.TrimSuffix(path, "/")); !r.touched[folder]; folder = folderOf(folder) {
		r.touched[folder] = true
	}
}

func (r *reader) skip(path string) {
	if r.skipped++; r.skipped == 1 {
		r.firstSkipped = path
	}
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
