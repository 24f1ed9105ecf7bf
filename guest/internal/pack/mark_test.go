package pack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const someMark = "0123456789abcdef"

func mustBeMarked(t *testing.T, store *Store, want bool) {
	t.Helper()
	if got, err := store.IsMarked(someMark); err != nil || got != want {
		t.Errorf("marked: %v, %v", got, err)
	}
}

func TestAMarkIsThereOnceItWasMade(t *testing.T) {
	folder := t.TempDir()
	store := newTree(t, aFewFiles(t), folder, 0).store
	mustBeMarked(t, store, false)

	must(t, store.Mark(someMark))
	mustBeMarked(t, store, true)
	if other, err := store.IsMarked("another"); err != nil || other {
		t.Errorf("marked by another: %v, %v", other, err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 1 {
		t.Errorf("%v is left", left)
	}
}

// notTheMark is what somebody may have put in its place.
func notTheMark(t *testing.T) map[string]func(path string) error {
	held := filepath.Join(t.TempDir(), "held")
	must(t, os.WriteFile(held, []byte(someMark), 0o600))
	content := func(content string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(content), 0o600) }
	}
	return map[string]func(path string) error{
		"a link to one":   func(path string) error { return os.Symlink(held, path) },
		"a folder":        func(path string) error { return os.MkdirAll(filepath.Join(path, someMark), 0o700) },
		"a pipe":          func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a socket":        func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
		"empty":           content(""),
		"a part of it":    content(someMark[:8]),
		"more than it":    content(someMark + "\n"),
		"of another case": content(strings.ToUpper(someMark)),
		"another":         content(strings.Repeat("x", len(someMark))),
		"huge": func(path string) error {
			if err := os.WriteFile(path, []byte(someMark), 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 1<<40)
		},
	}
}

func TestWhatIsNotExactlyTheMarkIsNone(t *testing.T) {
	for name, make := range notTheMark(t) {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			store := newTree(t, aFewFiles(t), folder, 0).store
			must(t, make(filepath.Join(folder, markFile)))
			mustBeMarked(t, store, false)
		})
	}
}

func TestAMarkReplacesWhateverIsThere(t *testing.T) {
	for name, make := range notTheMark(t) {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			store := newTree(t, aFewFiles(t), folder, 0).store
			must(t, make(filepath.Join(folder, markFile)))
			must(t, make(filepath.Join(folder, markUnfinished)))

			must(t, store.Mark(someMark))
			mustBeMarked(t, store, true)
			if left, _ := os.ReadDir(folder); len(left) != 1 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

func TestAPackIsSetAsideUnread(t *testing.T) {
	folder := t.TempDir()
	tree := newTree(t, aFewFiles(t), folder, 0)
	must(t, tree.store.SetAside())
	must(t, os.WriteFile(filepath.Join(folder, file), []byte("no pack at all"), 0))

	must(t, tree.store.SetAside())
	mustBeSetAside(t, folder)
	if len(tree.said) != 0 || tree.unpack() != "" {
		t.Errorf("it says %v", tree.said)
	}
}
