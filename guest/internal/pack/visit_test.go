package pack

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// visited returns what a visitor of a folder's pack sees, and the content of files.
func visited(t *testing.T, folder string) (map[string]Item, map[string]string, error) {
	t.Helper()
	source, err := os.Open(filepath.Join(folder, file))
	must(t, err)
	defer source.Close()
	items, contents := map[string]Item{}, map[string]string{}
	err = Visit(source, func(item Item, content io.Reader) error {
		all, err := io.ReadAll(content)
		items[item.Path], contents[item.Path] = item, string(all)
		return err
	})
	return items, contents, err
}

func TestAVisitorSeesAllThatAPackSays(t *testing.T) {
	folder := t.TempDir()
	tree := newTree(t, aFewFiles(t), folder, 0)
	tree.write("opt/file", "content")
	must(t, unix.Chmod(tree.at("opt/file"), 0o4751))
	must(t, os.Link(tree.at("opt/file"), tree.at("opt/name")))
	must(t, os.Symlink("nowhere", tree.at("opt/link")))
	must(t, unix.Mkfifo(tree.at("opt/pipe"), 0o600))
	must(t, os.WriteFile(tree.at("opt/sparse"), nil, 0o600))
	must(t, os.Truncate(tree.at("opt/sparse"), 1<<30))
	must(t, os.Remove(tree.at("etc/motd")))
	tree.write("etc/passwd", "another")
	tree.pack()

	items, contents, err := visited(t, folder)
	must(t, err)
	for path, want := range map[string]Item{
		"opt":        {Mode: unix.S_IFDIR | 0o755},
		"opt/file":   {Mode: unix.S_IFREG | 0o4751, Size: 7},
		"opt/name":   {Target: "opt/file"},
		"opt/link":   {Mode: unix.S_IFLNK | 0o777, Target: "nowhere"},
		"opt/pipe":   {Mode: unix.S_IFIFO | 0o600},
		"opt/sparse": {Mode: unix.S_IFREG | 0o600, Size: 1 << 30, Holes: "1073741824"},
		"etc/motd":   {Deleted: true},
		"etc/passwd": {Replaces: true, Mode: unix.S_IFREG | 0o644, Size: 7},
		"etc":        {Replaces: true, Mode: unix.S_IFDIR | 0o755},
	} {
		want.Path = path
		if !want.Deleted {
			want.UID, want.GID = os.Getuid(), os.Getgid()
		}
		if items[path] != want {
			t.Errorf("%s is %+v, not %+v", path, items[path], want)
		}
	}
	if contents["opt/file"] != "content" || contents["opt/sparse"] != "" {
		t.Errorf("the contents are %q", contents)
	}
}

func TestAVisitorOfAHostilePackIsToldSo(t *testing.T) {
	for name, header := range map[string]tar.Header{
		"a path upwards":        reg("../outside/file"),
		"an absolute path":      reg("/file"),
		"an empty step":         reg("etc//file"),
		"a device":              {Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		"a deletion upwards":    {Name: "../file", Typeflag: tar.TypeReg, PAXRecords: map[string]string{deletedRecord: "1"}},
		"pieces of no sense":    {Name: "file", Typeflag: tar.TypeReg, Size: 4, PAXRecords: map[string]string{sparseRecord: "100 0+8"}},
		"a file beyond measure": {Name: "file", Typeflag: tar.TypeReg, Size: 4, PAXRecords: map[string]string{sparseRecord: "9223372036854775807 0+4"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			newTree(t, aFewFiles(t), folder, 0).forge(folder, header)
			if items, _, err := visited(t, folder); !errors.Is(err, errContent) || len(items) != 0 {
				t.Errorf("it says %v, and has %v", err, items)
			}
		})
	}
}

func TestAVisitorOfADamagedPackSeesNothing(t *testing.T) {
	folder := t.TempDir()
	for _, content := range []string{"", "no pack", strings.Repeat("no pack", 100)} {
		must(t, os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600))
		if items, _, err := visited(t, folder); !errors.Is(err, errDamaged) || len(items) != 0 {
			t.Errorf("it says %v, and has %v", err, items)
		}
	}
}

func TestAVisitorsOwnErrorEndsTheVisit(t *testing.T) {
	folder := t.TempDir()
	tree := newTree(t, aFewFiles(t), folder, 0)
	tree.write("opt/file", "content")
	tree.pack()
	source, err := os.Open(filepath.Join(folder, file))
	must(t, err)
	defer source.Close()

	seen, enough := 0, errors.New("enough")
	err = Visit(source, func(Item, io.Reader) error {
		seen++
		return enough
	})
	if !errors.Is(err, enough) || seen != 1 {
		t.Errorf("after %d it says %v", seen, err)
	}
}
