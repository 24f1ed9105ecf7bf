package checkout

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const where = "https://git.example.com/team/app.git"

// checkedOut makes the checkout of a sandbox as it is after some work: a commit, a change in the index and one that is in
// none, and a new file.
func checkedOut(t *testing.T, branch string) string {
	t.Helper()
	workspace := t.TempDir()
	run(t, workspace, "init", "-q", "-b", branch)
	run(t, workspace, "remote", "add", "origin", where)
	for _, name := range []string{"one", "two"} {
		put(t, filepath.Join(workspace, name), "committed\n")
	}
	run(t, workspace, "add", ".")
	run(t, workspace, "commit", "-q", "-m", "base")
	put(t, filepath.Join(workspace, "one"), "staged\n")
	run(t, workspace, "add", "one")
	put(t, filepath.Join(workspace, "two"), "changed\n")
	put(t, filepath.Join(workspace, "three"), "new\n")
	put(t, filepath.Join(workspace, ".git", markFile), `{"repository":"`+where+`","branch":"`+branch+`"}`)
	return workspace
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, workspace, message string) {
	t.Helper()
	run(t, workspace, "commit", "-q", "--allow-empty", "-m", message)
}

func state(t *testing.T, workspace string) string {
	t.Helper()
	index, err := os.ReadFile(filepath.Join(workspace, ".git", "index"))
	if err != nil {
		t.Fatal(err)
	}
	return run(t, workspace, "diff", "HEAD") + run(t, workspace, "status", "--porcelain") + string(index)
}

func on(t *testing.T, workspace, branch string) {
	t.Helper()
	if got := run(t, workspace, "symbolic-ref", "HEAD"); got != branches+branch {
		t.Errorf("HEAD is on %s, not on %s", got, branch)
	}
	run(t, workspace, "fsck", "--no-progress")
}

func TestAForkGetsABranchOfItsOwnAndKeepsWhatIsNotCommitted(t *testing.T) {
	workspace := checkedOut(t, "sandbox/a")
	before, at := state(t, workspace), run(t, workspace, "rev-parse", "HEAD")

	succeed(t, workspace, Wanted{Repository: where, Branch: "sandbox/b"})

	on(t, workspace, "sandbox/b")
	if state(t, workspace) != before || run(t, workspace, "rev-parse", "HEAD") != at {
		t.Error("files, index or commit changed")
	}
	if got := run(t, workspace, "branch", "--format", "%(refname:short)"); got != "sandbox/a\nsandbox/b" {
		t.Errorf("branches: %q", got)
	}
}

func TestAWakeLeavesItsUserWhereTheyWent(t *testing.T) {
	workspace := checkedOut(t, "sandbox/a")
	run(t, workspace, "checkout", "-q", "-b", "feature")
	before := state(t, workspace)

	succeed(t, workspace, Wanted{Repository: strings.TrimSuffix(where, ".git") + "/", Branch: "sandbox/a"})

	on(t, workspace, "feature")
	if state(t, workspace) != before {
		t.Error("files or index changed")
	}
}

func TestAForkBeginsWhereItsSourcesUserWent(t *testing.T) {
	for _, detached := range []bool{false, true} {
		workspace := checkedOut(t, "sandbox/a")
		run(t, workspace, "checkout", "-q", "-b", "feature")
		commit(t, workspace, "more")
		if detached {
			run(t, workspace, "checkout", "-q", "--detach")
		}
		run(t, workspace, "pack-refs", "--all")

		succeed(t, workspace, Wanted{Repository: where, Branch: "sandbox/b"})

		on(t, workspace, "sandbox/b")
		if got := run(t, workspace, "log", "-1", "--format=%s"); got != "more" {
			t.Errorf("got %q", got)
		}
	}
}

func TestWhatAForkDidIsTakenOverOnTheSourcesOwnBranch(t *testing.T) {
	workspace := checkedOut(t, "sandbox/a")
	succeed(t, workspace, Wanted{Repository: where, Branch: "sandbox/b"})
	commit(t, workspace, "by the fork")

	succeed(t, workspace, Wanted{Repository: where, Branch: "sandbox/a"})

	on(t, workspace, "sandbox/a")
	if got := run(t, workspace, "log", "-1", "--format=%s"); got != "by the fork" {
		t.Errorf("got %q", got)
	}
}

func TestABranchWithOtherCommitsIsNeverMoved(t *testing.T) {
	workspace := checkedOut(t, "sandbox/a")
	run(t, workspace, "branch", "other")
	commit(t, workspace, "mine")
	run(t, workspace, "checkout", "-q", "-B", "taken", "other")
	commit(t, workspace, "theirs")
	run(t, workspace, "checkout", "-q", "sandbox/a")
	before := state(t, workspace) + run(t, workspace, "show-ref")

	contains(t, prepare(t, workspace, Wanted{Repository: where, Branch: "taken"}), `branch "taken" of the checkout has commits`)

	on(t, workspace, "sandbox/a")
	if state(t, workspace)+run(t, workspace, "show-ref") != before {
		t.Error("something changed")
	}
}

func TestAnotherRepositoryOverwritesNothing(t *testing.T) {
	for _, marked := range []bool{true, false} {
		workspace := checkedOut(t, "sandbox/a")
		if !marked {
			os.Remove(filepath.Join(workspace, ".git", markFile))
			run(t, workspace, "remote", "set-url", "origin", "https://me:hidden@git.example.com/team/app.git")
		}
		before := state(t, workspace)

		said := prepare(t, workspace, Wanted{Repository: "https://git.example.com/team/other.git", Branch: "sandbox/a"})

		contains(t, said, "holds a checkout of "+where+", which is kept")
		if state(t, workspace) != before || strings.Contains(said, "hidden") {
			t.Errorf("something changed, or %q tells too much", said)
		}
	}
}

func TestAUsersOtherRemoteIsTheirs(t *testing.T) {
	workspace := checkedOut(t, "sandbox/a")
	run(t, workspace, "remote", "set-url", "origin", "https://git.example.com/me/fork.git")

	succeed(t, workspace, Wanted{Repository: where, Branch: "sandbox/a"})
}

func TestACheckoutThatIsInTheMiddleOfSomethingIsLeftAlone(t *testing.T) {
	for _, name := range []string{"rebase-merge", "rebase-apply", "reftable"} {
		workspace := checkedOut(t, "sandbox/a")
		if err := os.Mkdir(filepath.Join(workspace, ".git", name), 0o755); err != nil {
			t.Fatal(err)
		}
		succeed(t, workspace, Wanted{Repository: where, Branch: "sandbox/b"})
		if got := run(t, workspace, "symbolic-ref", "HEAD"); got != "refs/heads/sandbox/a" {
			t.Errorf("with %s HEAD is on %s", name, got)
		}
	}
}

func TestABranchThatIsAPartOfAnothersNameIsTold(t *testing.T) {
	workspace := checkedOut(t, "sandbox")
	contains(t, prepare(t, workspace, Wanted{Repository: where, Branch: "sandbox/b"}), `branch "sandbox/b" can't be made`)
	on(t, workspace, "sandbox")

	workspace = checkedOut(t, "sandbox/b/c")
	contains(t, prepare(t, workspace, Wanted{Repository: where, Branch: "sandbox/b"}), `branch "sandbox/b" can't be made`)
	run(t, workspace, "pack-refs", "--all")
	run(t, workspace, "checkout", "-q", "-b", "else")
	run(t, workspace, "branch", "-q", "-D", "sandbox/b/c")
	succeed(t, workspace, Wanted{Repository: where, Branch: "sandbox/b"})
	on(t, workspace, "sandbox/b")
}

// Outside of the workspace nothing is written and nothing is run, whatever a snapshot holds.
func TestAHostileRepositoryGetsNothing(t *testing.T) {
	for name, spoil := range map[string]func(git, outside string) error{
		"HEAD is a link": func(git, outside string) error {
			os.Remove(git + "/HEAD")
			return os.Symlink(outside+"/victim", git+"/HEAD")
		},
		"HEAD is a pipe": func(git, _ string) error {
			os.Remove(git + "/HEAD")
			return syscall.Mkfifo(git+"/HEAD", 0o644)
		},
		"HEAD leads out": func(git, _ string) error {
			return os.WriteFile(git+"/HEAD", []byte("ref: refs/heads/../../../../victim\n"), 0o644)
		},
		"HEAD is a book": func(git, _ string) error {
			return os.WriteFile(git+"/HEAD", []byte(strings.Repeat("ref: ", 1<<20)), 0o644)
		},
		"branches are elsewhere": func(git, outside string) error {
			os.RemoveAll(git + "/refs/heads")
			return os.Symlink(outside, git+"/refs/heads")
		},
		"the branch is a link": func(git, outside string) error {
			return os.Symlink(outside+"/victim", git+"/refs/heads/b")
		},
		"packed refs are a link": func(git, outside string) error {
			return os.Symlink(outside+"/victim", git+"/packed-refs")
		},
		"the mark is a link": func(git, outside string) error {
			os.Remove(git + "/" + markFile)
			return os.Symlink(outside+"/victim", git+"/"+markFile)
		},
		"the mark is nonsense": func(git, _ string) error {
			return os.WriteFile(git+"/"+markFile, []byte(`{"repository":[`), 0o644)
		},
		"the remote has no address": func(git, _ string) error {
			os.Remove(git + "/" + markFile)
			return os.WriteFile(git+"/config", []byte("[remote \"origin\"]\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"), 0o644)
		},
		"the scratch file is a link": func(git, outside string) error {
			return os.Symlink(outside+"/victim", git+"/"+scratch)
		},
		"hooks and filters wait": func(git, outside string) error {
			hook := "#!/bin/sh\ntouch " + outside + "/ran\n"
			for _, each := range []string{"post-checkout", "reference-transaction", "pre-commit"} {
				if err := os.WriteFile(git+"/hooks/"+each, []byte(hook), 0o755); err != nil {
					return err
				}
			}
			return os.WriteFile(git+"/config", []byte("[core]\n\tfsmonitor = touch "+outside+"/ran\n\tworktree = "+outside+
				"\n\thooksPath = "+outside+"\n[filter \"x\"]\n\tsmudge = touch "+outside+"/ran\n"), 0o644)
		},
		"the folder is a link": func(git, outside string) error {
			if err := os.Rename(git, git+"-moved"); err != nil {
				return err
			}
			return os.Symlink(outside, git)
		},
		"the folder is a file": func(git, outside string) error {
			os.RemoveAll(git)
			return os.WriteFile(git, []byte("gitdir: "+outside+"\n"), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			workspace, outside := checkedOut(t, "a"), t.TempDir()
			put(t, filepath.Join(outside, "victim"), "untouched\n")
			if err := spoil(filepath.Join(workspace, ".git"), outside); err != nil {
				t.Fatal(err)
			}

			said := prepare(t, workspace, Wanted{Repository: where, Branch: "b"})

			if strings.Contains(said, "untouched") || len(said) > 700 {
				t.Errorf("it says %q", said)
			}
			content, err := os.ReadFile(filepath.Join(outside, "victim"))
			if err != nil || string(content) != "untouched\n" || names(t, outside) != "victim" {
				t.Errorf("outside there are now %q; %v", names(t, outside), err)
			}
		})
	}
}

func TestAHostileFolderOfAFinishedCloneOverwritesNothing(t *testing.T) {
	workspace, outside := t.TempDir(), t.TempDir()
	put(t, filepath.Join(workspace, "mine"), "kept\n")
	if err := os.Mkdir(filepath.Join(workspace, finished), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(workspace, finished, "mine"), "theirs\n")
	contains(t, prepare(t, workspace, Wanted{Repository: where, Branch: "b"}), `already holds "mine"`)

	os.RemoveAll(filepath.Join(workspace, finished))
	for _, name := range []string{finished, unfinished} {
		if err := os.Symlink(outside, filepath.Join(workspace, name)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(outside, "victim"), "untouched\n")
	contains(t, prepare(t, workspace, Wanted{Repository: where, Branch: "b"}), "holds files")
	if names(t, outside) != "victim" {
		t.Errorf("outside there are now %q", names(t, outside))
	}
}
