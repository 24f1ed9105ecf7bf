package pack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const somebody = 1000

// asSomebody runs a test again as a user without rights, in a folder of root's that everybody may write, and returns
// that; it is empty where this is not the run.
func asSomebody(t *testing.T) string {
	t.Helper()
	if place := os.Getenv("AS_SOMEBODY"); place != "" {
		return place
	}
	place, err := os.MkdirTemp("", "pack-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(place) })
	must(t, os.Mkdir(filepath.Join(place, "shared"), 0o755))
	must(t, os.WriteFile(filepath.Join(place, "shared", "of-root"), nil, 0o644))
	for _, each := range []string{place, filepath.Join(place, "shared")} {
		must(t, os.Chmod(each, 0o777))
	}
	command := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), "AS_SOMEBODY="+place)
	if os.Getuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return ""
}

func storeAt(t *testing.T, path, folder string) *Store {
	t.Helper()
	root, err := OpenRoot(path)
	must(t, err)
	defer root.Close()
	index, err := NewIndex(root)
	must(t, err)
	store, err := OpenStore(folder, path, index, 0, t.Logf)
	must(t, err)
	return store
}

func TestWithoutRootWhatCannotBeReadIsNoConcernUntilItChanges(t *testing.T) {
	place := asSomebody(t)
	if place == "" {
		return
	}
	folder, mine := t.TempDir(), filepath.Join(place, "shared", "mine")
	private := filepath.Join(place, "private")
	must(t, os.Mkdir(private, 0))
	first := storeAt(t, place, folder)
	must(t, os.WriteFile(mine, []byte("mine"), 0o644))
	_, err := first.Pack("wanted")
	must(t, err)

	must(t, os.Remove(mine))
	second := storeAt(t, place, folder)
	_, err = second.Unpack()
	must(t, err)
	if content, _ := os.ReadFile(mine); string(content) != "mine" {
		t.Errorf("it has %q", content)
	}

	must(t, os.Chmod(private, 0o100))
	_, err = second.Pack("wanted")
	if failure := failureOf(t, err); !strings.Contains(failure.Message, "/private: permission denied") {
		t.Errorf("it says %+v", failure)
	}
}

func TestWithoutRootNothingIsPackedThatCouldNotComeBack(t *testing.T) {
	place := asSomebody(t)
	if place == "" {
		return
	}
	var status unix.Stat_t
	must(t, unix.Lstat(place, &status))
	if int(status.Uid) == os.Getuid() {
		t.Log("whoever runs this is not root, and nothing here belongs to anybody else")
		return
	}
	store := storeAt(t, place, t.TempDir())
	// As after a change by sudo.
	must(t, os.Rename(filepath.Join(place, "shared", "of-root"), filepath.Join(place, "shared", "changed")))

	_, err := store.Pack("wanted")
	if failure := failureOf(t, err); !strings.Contains(failure.Message, "/shared/changed was changed, and belongs to another") {
		t.Errorf("it says %+v", failure)
	}
}
