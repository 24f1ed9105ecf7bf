package diff

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	sha     = "0123456789abcdef0123456789abcdef01234567"
	longSHA = sha + "0123456789abcdef01234567"
)

func TestBranchAndCommitAreReadFromTheRepositorysFiles(t *testing.T) {
	for name, each := range map[string]struct {
		files map[string]string
		want  Head
	}{
		"a branch":          {map[string]string{"HEAD": "ref: refs/heads/main\n", "refs/heads/main": sha + "\n"}, Head{"main", sha}},
		"a branch in a way": {map[string]string{"HEAD": "ref: refs/heads/a/b\n", "refs/heads/a/b": longSHA + "\n"}, Head{"a/b", longSHA}},
		"a packed branch":   {map[string]string{"HEAD": "ref: refs/heads/main\n", "packed-refs": "# pack-refs\n" + sha + " refs/heads/main\n^" + sha + "\n"}, Head{"main", sha}},
		"no branch":         {map[string]string{"HEAD": sha + "\n"}, Head{"", sha}},
		"no commit yet":     {map[string]string{"HEAD": "ref: refs/heads/main\n"}, Head{"main", ""}},
		"a way upwards":     {map[string]string{"HEAD": "ref: refs/heads/../../../secret\n"}, Head{}},
		"an absolute way":   {map[string]string{"HEAD": "ref: /etc/passwd\n"}, Head{}},
		"no sense":          {map[string]string{"HEAD": "ref: refs/heads/ma\x1bin\n"}, Head{}},
		"a secret":          {map[string]string{"HEAD": "ref: refs/heads/main\n", "refs/heads/main": "secret\n"}, Head{"main", ""}},
		"no end":            {map[string]string{"HEAD": "ref: refs/heads/" + strings.Repeat("x", 1<<20)}, Head{}},
	} {
		t.Run(name, func(t *testing.T) {
			both := newTwo(t)
			write(t, at(both.now, ".git"), each.files)
			_, summary, log := both.compared()
			if summary.Git == nil || summary.Git.Old != nil || *summary.Git.New != each.want || summary.Unread != 0 {
				t.Errorf("it tells %+v: %s", summary.Git, log)
			}
		})
	}
}

func TestNothingIsToldOfGitWhereThereIsNone(t *testing.T) {
	both := newTwo(t)
	must(t, os.WriteFile(at(both.now, ".git"), []byte("gitdir: /etc"), 0o600))
	if _, summary, _ := both.compared(); summary.Git != nil || summary.Unread != 0 {
		t.Errorf("it tells %+v", summary.Git)
	}
}

func TestARepositorysFilesAreNotFollowedAnywhere(t *testing.T) {
	secret := t.TempDir()
	write(t, secret, map[string]string{"HEAD": sha, "main": sha})
	both := newTwo(t)
	must(t, os.Mkdir(at(both.old, ".git"), 0o755))
	must(t, os.Symlink(secret+"/HEAD", at(both.old, ".git/HEAD")))
	write(t, at(both.now, ".git"), map[string]string{"HEAD": "ref: refs/heads/main", "refs/x": ""})
	must(t, os.Symlink(secret, at(both.now, ".git/refs/heads")))
	must(t, unix.Mkfifo(at(both.now, ".git/packed-refs"), 0o600))
	_, summary, _ := both.compared()
	if summary.Git.Old != nil || *summary.Git.New != (Head{"main", ""}) || summary.Unread != 1 {
		t.Errorf("it tells %+v", summary.Git)
	}
	must(t, os.Remove(at(both.old, ".git/HEAD")))
	must(t, unix.Mkfifo(at(both.old, ".git/HEAD"), 0o600))
	if _, summary, _ = both.compared(); summary.Git.Old != nil || summary.Unread != 1 {
		t.Errorf("it tells %+v", summary.Git)
	}
}
