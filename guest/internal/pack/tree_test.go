package pack

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree is a root file system under test, with the store that its packs go to.
type tree struct {
	t     *testing.T
	path  string
	store *Store
	said  []string
}

// newTree gives a root file system as an image has it, and its guest's view of it.
func newTree(t *testing.T, image, folder string, limit int64) *tree {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root")
	if out, err := exec.Command("cp", "-a", image, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	root, err := OpenRoot(path)
	must(t, err)
	defer root.Close()
	index, err := NewIndex(root)
	must(t, err)
	tree := &tree{t: t, path: path}
	tree.store, err = OpenStore(folder, path, index, limit, func(format string, words ...any) {
		tree.said = append(tree.said, fmt.Sprintf(format, words...))
	})
	must(t, err)
	// Two changes in one tick of the clock cannot be told apart on every kernel.
	time.Sleep(20 * time.Millisecond)
	return tree
}

func (t *tree) at(path string) string { return filepath.Join(t.path, path) }

func (t *tree) write(path, content string) {
	t.t.Helper()
	must(t.t, os.MkdirAll(filepath.Dir(t.at(path)), 0o755))
	must(t.t, os.WriteFile(t.at(path), []byte(content), 0o644))
}

func (t *tree) pack() Result {
	t.t.Helper()
	result, err := t.store.Pack("wanted")
	must(t.t, err)
	return result
}

func (t *tree) unpack() string {
	t.t.Helper()
	installed, err := t.store.Unpack()
	must(t.t, err)
	return installed
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// facts are everything that a pack has to keep, by path; names of one file are told by the first of them.
func (t *tree) facts() map[string]string {
	t.t.Helper()
	facts, firsts := map[string]string{}, map[uint64]string{}
	must(t.t, filepath.WalkDir(t.path, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == t.path {
			return err
		}
		name, _ := filepath.Rel(t.path, path)
		var status unix.Stat_t
		if err := unix.Lstat(path, &status); err != nil {
			return err
		}
		fact := fmt.Sprintf("%o %d:%d %d", status.Mode, status.Uid, status.Gid, status.Mtim.Nano())
		switch status.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			if _, known := firsts[status.Ino]; !known {
				firsts[status.Ino] = name
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fact += fmt.Sprintf(" %x links %d of %q", sha256.Sum256(content), status.Nlink, firsts[status.Ino])
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fact += " to " + target
		}
		facts[name] = fact + attributesAt(t.t, path, status.Mode)
		return nil
	}))
	return facts
}

func attributesAt(t *testing.T, path string, mode uint32) string {
	t.Helper()
	if kind := mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return ""
	}
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	names, err := attributeNames(int(file.Fd()))
	must(t, err)
	slices.Sort(names)
	found := ""
	for _, name := range names {
		value, err := attribute(int(file.Fd()), name)
		must(t, err)
		found += fmt.Sprintf(" %s=%x", name, value)
	}
	return found
}

func (t *tree) mustEqual(other *tree) {
	t.t.Helper()
	mine, theirs := t.facts(), other.facts()
	if maps.Equal(mine, theirs) {
		return
	}
	for path, fact := range mine {
		if theirs[path] != fact {
			t.t.Errorf("%q\nwas    %s\nbecame %s", path, fact, theirs[path])
		}
	}
	for path, fact := range theirs {
		if _, ok := mine[path]; !ok {
			t.t.Errorf("%q\nwas    not there\nbecame %s", path, fact)
		}
	}
	t.t.FailNow()
}

// blocks is how much of the disk a file takes.
func (t *tree) blocks(path string) int64 {
	t.t.Helper()
	var status unix.Stat_t
	must(t.t, unix.Stat(t.at(path), &status))
	return status.Blocks * 512
}
