package pack

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// aFewFiles is a root file system of an image.
func aFewFiles(t *testing.T) string {
	t.Helper()
	image := &tree{t: t, path: filepath.Join(t.TempDir(), "image")}
	image.write("etc/passwd", "root:x:0:0\n")
	image.write("etc/motd", "welcome\n")
	image.write("usr/bin/tool", "program\n")
	return image.path
}

func TestWhatIsAddedChangedAndDeletedComesBack(t *testing.T) {
	image, folder := aFewFiles(t), t.TempDir()
	first := newTree(t, image, folder, 0)
	first.write("etc/passwd", "root:x:0:0\nagent:x:1000:1000\n")
	first.write("opt/new/file", "new")
	must(t, os.Remove(first.at("etc/motd")))
	must(t, os.RemoveAll(first.at("usr/bin")))
	result := first.pack()

	second := newTree(t, image, folder, 0)
	if installed := second.unpack(); installed != "wanted" {
		t.Errorf("what is installed is said to be %q", installed)
	}
	first.mustEqual(second)
	if result.Entries == 0 || result.Bytes == 0 || !strings.HasPrefix(result.Digest, "sha256:") {
		t.Errorf("the result is %+v", result)
	}
}

func TestNothingIsPackedWhereNothingChangedAndNoPackRemains(t *testing.T) {
	image, folder := aFewFiles(t), t.TempDir()
	tree := newTree(t, image, folder, 0)
	tree.write("opt/file", "new")
	tree.pack()
	// Only in the index's own folder do changes of the past matter: this is another container of the image.
	again := newTree(t, image, folder, 0)

	if result := again.pack(); result != (Result{}) {
		t.Errorf("packed %+v", result)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func TestWhatOnlyLastsForARunIsNotPacked(t *testing.T) {
	tree := newTree(t, aFewFiles(t), t.TempDir(), 0)
	for _, path := range []string{"tmp/x", "run/x", "var/run/x", ".sandkeeper/x", "dev/x", "proc/x", "sys/x"} {
		tree.write(path, "passing")
	}
	must(t, os.RemoveAll(tree.at("var")))

	if result := tree.pack(); result != (Result{}) {
		t.Errorf("packed %+v", result)
	}
}

func TestAPackIsNotUsedOnAnotherImage(t *testing.T) {
	image, folder := aFewFiles(t), t.TempDir()
	first := newTree(t, image, folder, 0)
	first.write("opt/file", "new")
	first.pack()
	must(t, os.WriteFile(filepath.Join(image, "etc/motd"), []byte("another image\n"), 0o644))
	second := newTree(t, image, folder, 0)
	before := second.facts()

	if installed := second.unpack(); installed != "" {
		t.Errorf("%q is said to be installed", installed)
	}
	if _, there := second.facts()["opt/file"]; there || len(before) != len(second.facts()) {
		t.Error("something was unpacked")
	}
}

func TestWhatAnImageIsToldApartBy(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"the content of a file": func(path string) error { return os.WriteFile(filepath.Join(path, "etc/motd"), nil, 0o644) },
		"its mode":              func(path string) error { return os.Chmod(filepath.Join(path, "etc/motd"), 0o600) },
		"its owner":             func(path string) error { return os.Chown(filepath.Join(path, "etc/motd"), 7, 0) },
		"its group":             func(path string) error { return os.Chown(filepath.Join(path, "etc/motd"), 0, 7) },
		"where a link leads": func(path string) error {
			return relinked(filepath.Join(path, "etc/link"), "one", "two")
		},
	} {
		t.Run(name, func(t *testing.T) {
			image := aFewFiles(t)
			must(t, relinked(filepath.Join(image, "etc/link"), "one", "one"))
			before := newTree(t, image, t.TempDir(), 0).store.index
			must(t, change(image))
			after := newTree(t, image, t.TempDir(), 0).store.index
			if after.image() == before.image() {
				t.Errorf("it was %s and is %s", before.image(), after.image())
			}
		})
	}
}

// relinked makes a link that leads elsewhere, of the time that the one before would have had.
func relinked(path, first, second string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if err := os.Symlink(second, path); err != nil || len(first) != len(second) {
		return err
	}
	times := []unix.Timespec{{Sec: 1}, {Sec: 1}}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW)
}

func TestWhatIsLeftOutIsSaid(t *testing.T) {
	image, folder := aFewFiles(t), t.TempDir()
	first := newTree(t, image, folder, 0)
	first.write("opt/file", "new")
	must(t, unix.Mknod(first.at("opt/gone"), unix.S_IFCHR, 0))
	first.pack()
	first.mustHaveSaid("1 whiteouts of overlays are not packed; the first is /opt/gone")

	must(t, os.WriteFile(filepath.Join(image, "etc/motd"), []byte("another image\n"), 0o644))
	second := newTree(t, image, folder, 0)
	second.unpack()
	second.mustHaveSaid("the pack is not used: it was made on another image")
}

func (t *tree) mustHaveSaid(line string) {
	t.t.Helper()
	if !slices.Contains(t.said, line) {
		t.t.Errorf("it said %q", t.said)
	}
}

func TestAPackThatWasSetAsideGoesWithTheNextGoodOne(t *testing.T) {
	image, folder := aFewFiles(t), t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, file), []byte("damaged"), 0o600))
	tree := newTree(t, image, folder, 0)
	tree.unpack()
	mustBeSetAside(t, folder)

	tree.write("opt/file", "new")
	tree.pack()
	if left, _ := os.ReadDir(folder); len(left) != 1 || left[0].Name() != file {
		t.Errorf("%v is left", left)
	}
}

func TestASparseFileStaysSparse(t *testing.T) {
	image, folder := aFewFiles(t), t.TempDir()
	first := newTree(t, image, folder, 1<<20)
	first.write("disk", "start")
	must(t, os.Truncate(first.at("disk"), 1<<30))
	first.pack()

	second := newTree(t, image, folder, 1<<20)
	second.unpack()
	first.mustEqualSize(second, "disk", 1<<30)
	if blocks := second.blocks("disk"); blocks > 1<<20 {
		t.Errorf("it takes %d bytes of the disk", blocks)
	}
}

func (t *tree) mustEqualSize(other *tree, path string, size int64) {
	t.t.Helper()
	status, err := os.Stat(other.at(path))
	must(t.t, err)
	if status.Size() != size {
		t.t.Errorf("%s has %d bytes, not %d", path, status.Size(), size)
	}
}

func TestCapabilitiesOfAProgramComeBack(t *testing.T) {
	image, folder := aFewFiles(t), t.TempDir()
	first := newTree(t, image, folder, 0)
	// cap_net_raw=ep, as vfs_cap_data of revision 2 has it.
	raw := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	must(t, unix.Setxattr(first.at("usr/bin/tool"), "security.capability", raw, 0))
	first.pack()

	second := newTree(t, image, folder, 0)
	second.unpack()
	got := make([]byte, 64)
	size, err := unix.Getxattr(second.at("usr/bin/tool"), "security.capability", got)
	must(t, err)
	if !slices.Equal(got[:size], raw) {
		t.Errorf("they are %x", got[:size])
	}
}

func TestTooMuchIsRefusedWithTheBiggestFilesAndTheFormerPackStays(t *testing.T) {
	image, folder := aFewFiles(t), t.TempDir()
	tree := newTree(t, image, folder, 1<<20)
	tree.write("opt/small", "small")
	tree.pack()
	former, err := os.ReadFile(filepath.Join(folder, file))
	must(t, err)
	tree.write("opt/big", strings.Repeat("x", 1<<20))

	_, err = tree.store.Pack("wanted")
	failure := failureOf(t, err)
	if failure.Reason != TooLarge || failure.Largest[0] != (Size{"/opt/big", 1 << 20}) {
		t.Errorf("it says %+v", failure)
	}
	if told := failure.Error(); !strings.HasSuffix(told, ". The biggest: /opt/big (1.0 MiB), /opt/small (5 bytes)") {
		t.Errorf("it is told as %q", told)
	}
	now, err := os.ReadFile(filepath.Join(folder, file))
	must(t, err)
	if !slices.Equal(former, now) {
		t.Error("the former pack is not there any more")
	}
}

func TestAPackNeverHasMoreThanCanBeUnpacked(t *testing.T) {
	tree := newTree(t, aFewFiles(t), t.TempDir(), 64<<20)
	sparse, err := os.Create(tree.at("sparse"))
	must(t, err)
	defer sparse.Close()
	for at := range int64(mostPieces + 1) {
		_, err := sparse.WriteAt([]byte("data"), at*8192)
		must(t, err)
	}

	_, err = tree.store.Pack("wanted")
	if failure := failureOf(t, err); failure.Reason != TooLarge || failure.Largest[0].Path != "/sparse" {
		t.Errorf("it says %+v", failure)
	}
}

func failureOf(t *testing.T, err error) *Failure {
	t.Helper()
	var failure *Failure
	if !errors.As(err, &failure) {
		t.Fatalf("no failure: %v", err)
	}
	return failure
}

func TestAPackThatWasCutShortIsRemovedAtStart(t *testing.T) {
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, unfinished), []byte("half"), 0o600))

	newTree(t, aFewFiles(t), folder, 0)
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}
