package checkout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sandkeeper.dev/guest/internal/gitstate"
)

// TestMain is the worktree program too, for whoever asks as the guest does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "state" {
		if err := Tell(os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// told asks as the guest does, and writes the answer down in one line.
func told(t *testing.T, workspace string, patience time.Duration) (string, error) {
	t.Helper()
	state, err := gitstate.Ask("/proc/self/exe", workspace, patience)
	if state == nil {
		return "nothing", err
	}
	commit, count := state.Commit, "?"
	if commit != "" && commit == run(t, workspace, "rev-parse", "HEAD") {
		commit = "HEAD"
	}
	if state.DirtyFiles != nil {
		count = fmt.Sprint(*state.DirtyFiles)
	}
	return fmt.Sprintf("%s %s %s", state.Branch, commit, count), err
}

func says(t *testing.T, workspace, wanted string) {
	t.Helper()
	if got, err := told(t, workspace, time.Minute); err != nil || got != wanted {
		t.Errorf("it says %q, not %q: %v", got, wanted, err)
	}
}

func TestEveryKindOfChangeIsCountedOnceAndWhatIsIgnoredIsNot(t *testing.T) {
	workspace := checkedOut(t, "sandbox/a")
	says(t, workspace, "sandbox/a HEAD 3")

	run(t, workspace, "add", "--all")
	commit(t, workspace, "all")
	says(t, workspace, "sandbox/a HEAD 0")

	put(t, filepath.Join(workspace, ".gitignore"), "*.o\nbuilt/\n")
	put(t, filepath.Join(workspace, "ignored.o"), "")
	put(t, filepath.Join(workspace, ".git", "info", "exclude"), "private\n")
	put(t, filepath.Join(workspace, "private"), "")
	if err := os.MkdirAll(filepath.Join(workspace, "built", "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(workspace, "built", "deep", "file"), "")
	says(t, workspace, "sandbox/a HEAD 1")

	run(t, workspace, "add", "--force", "built/deep/file")
	commit(t, workspace, "one of the built")
	put(t, filepath.Join(workspace, "built", "deep", "file"), "tracked though it is ignored")
	put(t, filepath.Join(workspace, "built", "deep", "other"), "")
	says(t, workspace, "sandbox/a HEAD 2")
	run(t, workspace, "checkout", "-q", "built")

	os.Remove(filepath.Join(workspace, "one"))
	os.Chmod(filepath.Join(workspace, "two"), 0o755)
	run(t, workspace, "mv", "three", "four")
	says(t, workspace, "sandbox/a HEAD 5")
}

func TestACheckoutIsToldWhereverItsHeadIs(t *testing.T) {
	workspace := checkedOut(t, "a")
	run(t, workspace, "checkout", "-q", "--detach")
	says(t, workspace, " HEAD 3")

	run(t, workspace, "checkout", "-q", "-b", strings.Repeat("b", 200)+"/"+strings.Repeat("c", 55))
	says(t, workspace, " HEAD 3")

	empty := t.TempDir()
	run(t, empty, "init", "-q", "-b", "main")
	put(t, filepath.Join(empty, "file"), "")
	says(t, empty, "main  1")
}

func TestASubmoduleIsPartOfItsRepository(t *testing.T) {
	inner, workspace := checkedOut(t, "a"), checkedOut(t, "a")
	run(t, workspace, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "sub")
	run(t, workspace, "add", "--all")
	commit(t, workspace, "all")
	says(t, workspace, "a HEAD 0")
}

// Looking at it changes and runs nothing, and ends in time with what is known.
func TestAHostileCheckoutGetsNoMoreThanTime(t *testing.T) {
	for name, hostile := range map[string]struct {
		spoil  func(git, outside string) error
		wanted string
	}{
		"a file never ends": {func(git, _ string) error {
			return syscall.Mkfifo(git+"/../.gitignore", 0o644)
		}, "a HEAD ?"},
		"the index is a pipe": {func(git, _ string) error {
			os.Remove(git + "/index")
			return syscall.Mkfifo(git+"/index", 0o644)
		}, "a HEAD ?"},
		"the index claims to be endless": {func(git, _ string) error {
			return os.WriteFile(git+"/index", []byte("DIRC\x00\x00\x00\x02\xff\xff\xff\xff"), 0o644)
		}, "a HEAD ?"},
		"objects are gone": {func(git, _ string) error {
			return errors.Join(os.RemoveAll(git+"/objects"), os.Mkdir(git+"/objects", 0o755))
		}, "a HEAD ?"},
		"HEAD leads out": {func(git, outside string) error {
			os.Remove(git + "/HEAD")
			return os.Symlink(outside+"/victim", git+"/HEAD")
		}, "nothing"},
		"the folder is a link": {func(git, outside string) error {
			if err := os.Rename(git, outside+"/git"); err != nil {
				return err
			}
			return os.Symlink(outside+"/git", git)
		}, "nothing"},
		"it is none": {func(git, _ string) error { return os.RemoveAll(git) }, "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			workspace, outside := checkedOut(t, "a"), t.TempDir()
			git := filepath.Join(workspace, ".git")
			if err := hostile.spoil(git, outside); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			got, err := told(t, workspace, time.Second)
			if got != hostile.wanted || err == nil || time.Since(began) > 5*time.Second {
				t.Errorf("it says %q after %v: %v", got, time.Since(began), err)
			}
		})
	}
}

func TestHooksAndFiltersAreNotRun(t *testing.T) {
	workspace, outside := checkedOut(t, "a"), t.TempDir()
	touch := "touch " + outside + "/ran"
	put(t, filepath.Join(workspace, ".gitattributes"), "* filter=x diff=x\n")
	config, err := os.ReadFile(filepath.Join(workspace, ".git", "config"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(workspace, ".git", "config"), string(config)+"[core]\n\tfsmonitor = "+touch+
		"\n\thooksPath = "+outside+"\n[filter \"x\"]\n\tclean = "+touch+"\n[diff \"x\"]\n\ttextconv = "+touch+"\n")

	says(t, workspace, "a HEAD 4")

	if got := names(t, outside); got != "" {
		t.Errorf("there are now %q", got)
	}
}

func TestMemoryThatIsSpareIsWhatTheKernelCouldGive(t *testing.T) {
	group := t.TempDir()
	put(t, filepath.Join(group, "memory.max"), "1000\n")
	put(t, filepath.Join(group, "memory.stat"), "anon 300\nfile 600\nshmem 100\nslab_unreclaimable 50\n")
	if got := spare(group); got != 550 {
		t.Errorf("%d", got)
	}
	put(t, filepath.Join(group, "memory.stat"), "anon 3000\n")
	if got := spare(group); got != 0 {
		t.Errorf("%d", got)
	}
	put(t, filepath.Join(group, "memory.max"), "max\n")
	if got := spare(group); got < mostMemory {
		t.Errorf("%d", got)
	}
}

func TestARepositoryThatNeedsTooMuchMemoryEndsWhoLooksAtIt(t *testing.T) {
	workspace := checkedOut(t, "a")
	// Patterns of ignored files are all kept.
	put(t, filepath.Join(workspace, ".gitignore"), strings.Repeat("x\n", 64<<20))

	got, err := told(t, workspace, time.Minute)

	if got != "a HEAD ?" || err == nil {
		t.Errorf("it says %q: %v", got, err)
	}
}
