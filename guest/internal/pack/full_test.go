package pack

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// withMounts runs a test again in a mount namespace of its own, where it may mount, and says whether this is the one.
func withMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv("WITH_MOUNTS") == t.Name() {
		return true
	}
	command := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), "WITH_MOUNTS="+t.Name())
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// smallDisk mounts a file system of one megabyte.
func smallDisk(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	must(t, unix.Mount("tmpfs", path, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return path
}

func noise(size int) string {
	content := make([]byte, size)
	_, _ = rand.Read(content)
	return string(content)
}

func TestAFullVolumeIsSaidAndTheFormerPackStays(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := aFewFiles(t), smallDisk(t)
	tree := newTree(t, image, folder, 0)
	tree.write("opt/small", "small")
	former := tree.pack()
	tree.write("opt/big", noise(2<<20))

	_, err := tree.store.Pack("wanted")
	if failure := failureOf(t, err); failure.Reason != VolumeFull || failure.Largest[0].Path != "/opt/big" {
		t.Errorf("it says %+v", failure)
	}
	if left, _ := os.ReadDir(folder); len(left) != 1 || left[0].Name() != file {
		t.Errorf("%v is left", left)
	}
	must(t, os.Remove(tree.at("opt/big")))
	if again := tree.pack(); again.Entries != former.Entries {
		t.Errorf("with room again it packs %+v, not %+v", again, former)
	}
}

func TestAFullDiskWhileUnpackingIsSaidAndThePackStays(t *testing.T) {
	if !withMounts(t) {
		return
	}
	for name, fill := range map[string]func(tree *tree){
		"by one large file": func(tree *tree) { tree.write("opt/big", noise(2<<20)) },
		"by small ones": func(tree *tree) {
			for each := range 64 {
				tree.write(fmt.Sprintf("opt/small-%d", each), noise(32<<10))
			}
		},
	} {
		image, folder := aFewFiles(t), t.TempDir()
		first := newTree(t, image, folder, 0)
		fill(first)
		first.pack()
		second := newTree(t, image, folder, 0)
		second.onSmallDisk(image)

		if _, err := second.store.Unpack(); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "/opt/") {
			t.Errorf("%s: it says %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(folder, file)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (t *tree) onSmallDisk(image string) {
	t.t.Helper()
	t.path = smallDisk(t.t)
	t.store.path = t.path
	if out, err := exec.Command("cp", "-a", image+"/.", t.path).CombinedOutput(); err != nil {
		t.t.Fatalf("%v: %s", err, out)
	}
}

func TestOnlyWhatHasToStayAFolderForAMountBelowIsLeftOut(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := aFewFiles(t), t.TempDir()
	first := newTree(t, image, folder, 0)
	first.write("data", "a file")
	must(t, os.Symlink("elsewhere", first.at("link")))
	must(t, os.Link(first.at("data"), first.at("second")))
	first.write("opt/file", "new")
	first.pack()

	for _, each := range []string{"data/volume", "link/volume"} {
		must(t, os.MkdirAll(filepath.Join(image, each), 0o755))
	}
	second := newTree(t, image, folder, 0)
	for _, each := range []string{"data/volume", "link/volume"} {
		must(t, unix.Mount(t.TempDir(), second.at(each), "", unix.MS_BIND, ""))
		t.Cleanup(func() { _ = unix.Unmount(second.at(each), unix.MNT_DETACH) })
	}
	if installed := second.unpack(); installed != "wanted" {
		t.Errorf("what is installed is said to be %q", installed)
	}
	second.mustHaveSaid("3 entries of the pack, the first is /data, are left out: something is mounted there now, or below")
	if content, _ := os.ReadFile(second.at("opt/file")); string(content) != "new" {
		t.Errorf("it has %q", content)
	}
}

func TestWhatIsMountedIsNeitherPackedNorUnpackedIntoNorTakenForDeleted(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := aFewFiles(t), t.TempDir()
	first := newTree(t, image, folder, 0)
	first.write("usr/bin/tool", "changed")
	first.write("etc/hosts", "changed")
	first.pack()

	second := newTree(t, image, folder, 0)
	mounted, bound := second.at("usr/bin"), t.TempDir()
	must(t, unix.Mount(bound, mounted, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(mounted, unix.MNT_DETACH) })
	second.unpack()
	if content, _ := os.ReadFile(second.at("etc/hosts")); string(content) != "changed" {
		t.Error("what lies elsewhere was not unpacked")
	}
	second.write("usr/bin/of-the-volume", "mine")
	second.write("etc/more", "more")
	second.pack()
	if left, _ := os.ReadDir(bound); len(left) != 1 {
		t.Errorf("the volume has %v", left)
	}

	third := newTree(t, image, folder, 0)
	third.unpack()
	if content, _ := os.ReadFile(third.at("usr/bin/tool")); strings.TrimSpace(string(content)) != "program" {
		t.Errorf("the tool is %q", content)
	}
}
