package pack

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whatever happens to a root file system, a pack brings it about in a fresh one, and so does a pack of that.
func TestAPackBringsBackWhateverHappened(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			must(t, os.Mkdir(image, 0o755))
			chance := &chance{rand.New(rand.NewPCG(seed, 5)), image}
			chance.happen(t, 60)
			folder := t.TempDir()

			first := newTree(t, image, folder, 0)
			chance.root = first.path
			chance.happen(t, 40)
			first.pack()

			second := newTree(t, image, folder, 0)
			second.unpack()
			first.mustEqual(second)
			if whole := compared(t, second.store.index, second.path); whole.state != second.store.state {
				t.Error("what was unpacked counts as a change")
			}

			chance.root = second.path
			chance.happen(t, 20)
			result := second.pack()

			third := newTree(t, image, folder, 0)
			third.unpack()
			second.mustEqual(third)
			if again := third.pack(); again != result {
				t.Errorf("though nothing had changed since, %v was packed and not %v", again, result)
			}
		})
	}
}

// chance does to a root file system what programs do, as its random numbers say.
type chance struct {
	*rand.Rand
	root string
}

var names = []string{"a", "b", "c", "d", "é=\n", "\xff\xfe", "with blank", "a-long-name-" + fmt.Sprintf("%0150d", 7)}

func (c *chance) happen(t *testing.T, times int) {
	t.Helper()
	things := []func(path string) error{
		c.file, c.file, c.file, c.folder, c.folder, c.folder, c.sparse, c.symlink, c.fifo, c.remove, c.mode, c.owner,
		c.attribute, c.rename, c.link, c.sameSizeAndTime, c.time,
	}
	for range times {
		thing := things[c.IntN(len(things))]
		// What can't be done, as a file under a file, does not happen.
		if err := thing(c.path()); err != nil && !expected(err) {
			t.Fatal(err)
		}
	}
}

func expected(err error) bool {
	_, path := err.(*fs.PathError)
	_, link := err.(*os.LinkError)
	_, number := err.(unix.Errno)
	return path || link || number
}

// path is a place in a folder that there is: os.RemoveAll would wait for ever below a pipe.
func (c *chance) path() string {
	path := filepath.Join(c.root, names[c.IntN(len(names))])
	for range c.IntN(4) {
		if status, err := os.Lstat(path); err == nil && status.IsDir() {
			path = filepath.Join(path, names[c.IntN(len(names))])
		}
	}
	return path
}

func (c *chance) file(path string) error {
	content := make([]byte, []int{0, 10, 5000, 300_000}[c.IntN(4)])
	for at := range content {
		content[at] = byte(c.IntN(256))
	}
	return write(path, content)
}

// write does not wait for a reader where there is a pipe.
func write(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write(content)
	return err
}

func (c *chance) sparse(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	for range c.IntN(4) {
		if _, err := file.WriteAt([]byte("data"), int64(c.IntN(1<<22))); err != nil {
			return err
		}
	}
	return file.Truncate(1<<22 + int64(c.IntN(1<<20)))
}

func (c *chance) sameSizeAndTime(path string) error {
	status, err := os.Lstat(path)
	if err != nil || !status.Mode().IsRegular() {
		return err
	}
	content := make([]byte, min(status.Size(), 1<<20))
	if err := write(path, content); err != nil {
		return err
	}
	return os.Chtimes(path, time.Time{}, status.ModTime())
}

func (c *chance) folder(path string) error  { return os.MkdirAll(path, 0o755) }
func (c *chance) symlink(path string) error { return os.Symlink(names[c.IntN(len(names))], path) }
func (c *chance) fifo(path string) error    { return unix.Mkfifo(path, 0o640) }
func (c *chance) remove(path string) error  { return os.RemoveAll(path) }
func (c *chance) rename(path string) error  { return os.Rename(path, c.path()) }
func (c *chance) link(path string) error    { return os.Link(path, c.path()) }

func (c *chance) mode(path string) error {
	if status, err := os.Lstat(path); err != nil || status.Mode()&fs.ModeSymlink != 0 {
		return err
	}
	return unix.Chmod(path, []uint32{0o400, 0o644, 0o755, 0o4755, 0o2775, 0o1777, 0}[c.IntN(7)])
}

func (c *chance) owner(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Lchown(path, c.IntN(3)*500, c.IntN(3)*500)
}

func (c *chance) attribute(path string) error {
	name := []string{"user.one", "user.two=%3D"}[c.IntN(2)]
	if c.IntN(3) == 0 {
		return unix.Lremovexattr(path, name)
	}
	return unix.Lsetxattr(path, name, []byte{0, byte(c.IntN(256)), '\n'}, 0)
}

func (c *chance) time(path string) error {
	modified := unix.NsecToTimespec(c.Int64N(4e18) - 1e18)
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{modified, modified}, unix.AT_SYMLINK_NOFOLLOW)
}
