package pack

import (
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Folders whose content belongs to one run of a container, not to what was installed.
var passing = []string{"tmp", "run", "var/run", "dev", "proc", "sys", ".sandkeeper"}

// Root is a root file system without what is mounted into it and without what only lasts for a run.
type Root struct {
	path    string
	fd      int
	device  uint64
	without map[string]bool
	above   map[string]bool
	// layered says that it is an overlay.
	layered bool
}

// OpenRoot opens the root file system at a path.
func OpenRoot(path string) (*Root, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	root := &Root{path: path, fd: fd, device: status.Dev, without: map[string]bool{}, above: map[string]bool{}}
	for _, name := range passing {
		root.without[name] = true
	}
	return root, root.leaveOutMounts()
}

// Close ends the use of the root.
func (r *Root) Close() error { return unix.Close(r.fd) }

// The device number alone does not tell a folder that is bound from the same file system.
func (r *Root) leaveOutMounts() error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	prefix := strings.TrimSuffix(r.path, "/") + "/"
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) <= 4 {
			continue
		}
		place := unescape(fields[4])
		if inside, ok := strings.CutPrefix(place, prefix); ok && inside != "" {
			r.leaveOut(inside)
		} else if place == r.path {
			r.layered = isOverlay(fields)
		}
	}
	return nil
}

func (r *Root) leaveOut(mounted string) {
	r.without[mounted] = true
	for folder := path.Dir(mounted); folder != "."; folder = path.Dir(folder) {
		r.above[folder] = true
	}
}

// unescape undoes the octal escapes of blanks and backslashes in mountinfo.
func unescape(word string) string {
	var plain strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] == '\\' && i+3 < len(word) {
			if code, err := strconv.ParseUint(word[i+1:i+4], 8, 8); err == nil {
				plain.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		plain.WriteByte(word[i])
	}
	return plain.String()
}

// folderOf is the path of the folder that something is in; the root's is empty.
func folderOf(path string) string { return path[:max(strings.LastIndexByte(path, '/'), 0)] }

// leftOut says whether a path is, or lies in, what is left out.
func (r *Root) leftOut(path string) bool {
	for at := 0; at < len(path); at++ {
		if path[at] == '/' && r.without[path[:at]] {
			return true
		}
	}
	return r.without[path]
}

// isAboveMount says whether something is mounted below a path, which therefore has to stay a folder.
func (r *Root) isAboveMount(path string) bool { return r.above[path] }

// entry is something found in the root file system.
type entry struct {
	path   string
	status unix.Stat_t
	// parent is the open folder that it is in, under its name.
	parent int
	name   string
}

// target is where a symbolic link leads; empty of anything else, and of one that vanished.
func (e *entry) target() string {
	if e.kind() != unix.S_IFLNK {
		return ""
	}
	buffer := make([]byte, e.status.Size+1)
	size, err := unix.Readlinkat(e.parent, e.name, buffer)
	if err != nil {
		return ""
	}
	return string(buffer[:size])
}

func (e *entry) kind() uint32 { return e.status.Mode & unix.S_IFMT }
func (e *entry) isDir() bool  { return e.kind() == unix.S_IFDIR }
func (e *entry) isFile() bool { return e.kind() == unix.S_IFREG }
func (e *entry) ctime() int64 { return e.status.Ctim.Nano() }
func (e *entry) packed() bool {
	return e.kind() != unix.S_IFSOCK && e.kind() != unix.S_IFCHR && e.kind() != unix.S_IFBLK
}

// isWhiteout says whether it is what overlayfs has where something of a lower layer was deleted.
func (e *entry) isWhiteout() bool { return e.kind() == unix.S_IFCHR && e.status.Rdev == 0 }

func (e *entry) linked() bool  { return e.isFile() && e.status.Nlink > 1 }
func (e *entry) inode() uint64 { return e.status.Ino }

// walk visits everything in the root, each folder after its content and names in order, and not the root itself.
//
// What vanishes meanwhile is not visited, nor what is in a folder that we may not read: whoever runs as another user
// than root has some of those in any image. An entry is only valid during its visit.
func (r *Root) walk(visit func(*entry) error) error {
	nobody, nothing := func(int, string) bool { return false }, func(*entry) bool { return false }
	return (&walker{root: r, visit: visit, known: nothing, taken: nobody}).folder(r.fd, "")
}

// walker visits what is in a folder.
type walker struct {
	root  *Root
	visit func(*entry) error
	// known says whether nobody has to look into a folder; it is visited all the same.
	known func(*entry) bool
	// taken says whether somebody else walks an open folder, and closes it then; it is visited all the same.
	taken func(fd int, folder string) bool
}

func (w *walker) folder(fd int, folder string) error {
	names, err := namesIn(fd)
	if err != nil {
		return &os.PathError{Op: "read", Path: "/" + folder, Err: err}
	}
	found := entry{parent: fd}
	for _, name := range names {
		found.path, found.name = name, name
		if folder != "" {
			found.path = folder + "/" + name
		}
		if w.root.without[found.path] {
			continue
		}
		if err := w.one(&found); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) one(found *entry) error {
	err := unix.Fstatat(found.parent, found.name, &found.status, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT || err == unix.EACCES {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "stat", Path: "/" + found.path, Err: err}
	}
	if !found.isDir() {
		return w.visit(found)
	}
	if found.status.Dev != w.root.device {
		return nil
	}
	return w.inside(found)
}

func (w *walker) inside(found *entry) error {
	if w.known(found) {
		return w.visit(found)
	}
	flags := unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(found.parent, found.name, flags, 0)
	switch {
	case vanished(err):
		return nil
	case err == unix.EACCES:
		return w.visit(found)
	case err != nil:
		return &os.PathError{Op: "open", Path: "/" + found.path, Err: err}
	case w.taken(fd, found.path):
		return w.visit(found)
	}
	defer unix.Close(fd)
	if err := w.folder(fd, found.path); err != nil {
		return err
	}
	return w.visit(found)
}

// vanished says whether something is not there any more, or something else is there, or on the way to it.
func vanished(err error) bool {
	return slices.ContainsFunc([]error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO}, func(one error) bool {
		return errors.Is(err, one)
	})
}

func namesIn(fd int) ([]string, error) {
	var names []string
	buffer := make([]byte, 16<<10)
	for {
		n, err := unix.ReadDirent(fd, buffer)
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			break
		}
		_, _, names = unix.ParseDirent(buffer[:n], -1, names)
	}
	slices.Sort(names)
	return names, nil
}
