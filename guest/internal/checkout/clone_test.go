package checkout

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func contains(t *testing.T, said, part string) {
	t.Helper()
	if !strings.Contains(said, part) {
		t.Errorf("%q does not say %q", said, part)
	}
}

func names(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return strings.Join(found, " ")
}

func TestACloneIsACheckoutAsGitMakesThem(t *testing.T) {
	server := serve(t)
	repository, workspace := server.publish(t, "private.git"), t.TempDir()
	wanted := Wanted{Repository: repository, Branch: "sandbox/a", Secret: server.secret(t, password)}

	succeed(t, workspace, wanted)

	if got := names(t, workspace); got != ".git README link run.sh" {
		t.Errorf("the workspace holds %q", got)
	}
	for arguments, wanted := range map[string]string{
		"status --porcelain --branch":             "## sandbox/a",
		"rev-parse --abbrev-ref HEAD":             "sandbox/a",
		"log --format=%s":                         "two\none",
		"remote get-url origin":                   repository,
		"rev-parse --abbrev-ref origin/HEAD":      "origin/main",
		"branch --list --all --format %(refname)": "refs/heads/sandbox/a\nrefs/remotes/origin/HEAD\nrefs/remotes/origin/main\nrefs/remotes/origin/other",
		"tag":                              "v1",
		"fsck --no-dangling --no-progress": "",
	} {
		if got := run(t, workspace, strings.Fields(arguments)...); got != wanted {
			t.Errorf("git %s: %q, not %q", arguments, got, wanted)
		}
	}
	if target, err := os.Readlink(filepath.Join(workspace, "link")); err != nil || target != "README" {
		t.Errorf("link leads to %q: %v", target, err)
	}
}

func TestTheLoginIsNowhereInTheCheckout(t *testing.T) {
	server := serve(t)
	workspace := t.TempDir()
	succeed(t, workspace, Wanted{
		Repository: server.publish(t, "private.git"), Branch: "b", Secret: server.secret(t, password),
	})
	err := filepath.WalkDir(workspace, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), password) || strings.Contains(string(content), "bot") {
			t.Errorf("it stands in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestALoginDoesNotFollowARedirectToAnotherServer(t *testing.T) {
	served := serve(t)
	served.publish(t, "public.git")
	given := make(chan string, 100)
	other := httptest.NewTLSServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		given <- request.Header.Get("Authorization")
		served.Config.Handler.ServeHTTP(answer, request)
	}))
	t.Cleanup(other.Close)
	first := httptest.NewTLSServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		http.Redirect(answer, request, other.URL+request.URL.RequestURI(), http.StatusFound)
	}))
	t.Cleanup(first.Close)

	succeed(t, t.TempDir(), Wanted{
		Repository: first.URL + "/public.git", Branch: "b", Secret: served.secret(t, password),
	})

	close(given)
	if len(given) < 2 {
		t.Errorf("the other server was asked %d times", len(given))
	}
	for login := range given {
		if login != "" {
			t.Errorf("the other server was given %q", login)
		}
	}
}

func TestABranchBeginsWhereTheRefIs(t *testing.T) {
	server := serve(t)
	repository, secret := server.publish(t, "private.git"), server.secret(t, password)
	first := run(t, filepath.Join(server.folder, "private.git"), "rev-parse", "v1^{commit}")
	for _, ref := range []string{"other", "v1", "refs/heads/other", "refs/tags/v1", first} {
		workspace := t.TempDir()
		succeed(t, workspace, Wanted{Repository: repository, Ref: ref, Branch: "mine", Secret: secret})
		if got := run(t, workspace, "rev-parse", "mine"); got != first {
			t.Errorf("with %s it is at %s", ref, got)
		}
		if got := run(t, workspace, "status", "--porcelain", "--branch"); got != "## mine" {
			t.Errorf("with %s: %q", ref, got)
		}
	}
}

func TestABranchThatWasPushedIsGoneOnWith(t *testing.T) {
	server := serve(t)
	repository, workspace := server.publish(t, "public.git"), t.TempDir()

	succeed(t, workspace, Wanted{Repository: repository, Ref: "main", Branch: "other", Secret: server.secret(t, "")})

	if got := run(t, workspace, "status", "--porcelain", "--branch"); got != "## other...origin/other" {
		t.Errorf("got %q", got)
	}
	if got := run(t, workspace, "log", "--format=%s"); got != "one" {
		t.Errorf("got %q", got)
	}
}

func TestAnEmptyRepositoryIsAnEmptyCheckout(t *testing.T) {
	server := serve(t)
	run(t, server.folder, "init", "-q", "--bare", "empty.git")
	workspace := t.TempDir()
	wanted := Wanted{Repository: server.URL + "/empty.git", Branch: "sandbox/a", Secret: server.secret(t, "")}

	succeed(t, workspace, wanted)

	if got := run(t, workspace, "status", "--porcelain", "--branch"); got != "## No commits yet on sandbox/a" {
		t.Errorf("got %q", got)
	}
	succeed(t, workspace, Wanted{Repository: wanted.Repository, Branch: "sandbox/b"})
	if got := run(t, workspace, "symbolic-ref", "HEAD"); got != "refs/heads/sandbox/b" {
		t.Errorf("got %q", got)
	}
}

func TestWhatGoesWrongIsToldAndLeavesNothing(t *testing.T) {
	server := serve(t)
	private := server.publish(t, "private.git")
	for _, trial := range []struct {
		says   string
		wanted Wanted
	}{
		{"refuses the login", Wanted{Repository: private, Secret: server.secret(t, "wrong")}},
		{"asks for a login", Wanted{Repository: private, Secret: server.secret(t, "")}},
		{"signed by unknown authority", Wanted{Repository: private}},
		{"no such repository", Wanted{Repository: server.URL + "/nothing.git", Secret: server.secret(t, "")}},
		{`no branch, tag or commit "nope"`, Wanted{Repository: private, Ref: "nope", Secret: server.secret(t, password)}},
		{"no branch, tag or commit", Wanted{
			Repository: private, Ref: strings.Repeat("a", 40), Secret: server.secret(t, password),
		}},
		{"refused", Wanted{Repository: "https://127.0.0.1:1/x.git"}},
	} {
		workspace := t.TempDir()
		trial.wanted.Branch = "b"
		contains(t, prepare(t, workspace, trial.wanted), trial.says)
		if got := names(t, workspace); got != "" {
			t.Errorf("after %q the workspace holds %q", trial.says, got)
		}
	}
}

func TestFilesThatAreThereAreKeptAndTold(t *testing.T) {
	workspace := t.TempDir()
	if err := os.WriteFile(filepath.Join(workspace, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	said := prepare(t, workspace, Wanted{Repository: "https://127.0.0.1:1/x.git", Branch: "b"})

	contains(t, said, `holds files, such as "mine", but no checkout`)
	if got := names(t, workspace); got != "mine" {
		t.Errorf("the workspace holds %q", got)
	}
}

func TestAnInterruptedCloneIsMadeAnew(t *testing.T) {
	server := serve(t)
	workspace := t.TempDir()
	if err := os.MkdirAll(filepath.Join(workspace, unfinished, dotGit), 0o755); err != nil {
		t.Fatal(err)
	}

	succeed(t, workspace, Wanted{
		Repository: server.publish(t, "public.git"), Branch: "b", Secret: server.secret(t, ""),
	})

	if got := names(t, workspace); got != ".git README link run.sh" {
		t.Errorf("the workspace holds %q", got)
	}
}

func TestAnInterruptedPlacingIsGoneOnWithWithoutTheServer(t *testing.T) {
	server := serve(t)
	repository := server.publish(t, "public.git")
	for _, placed := range [][]string{nil, {"README"}, {"README", "link", "run.sh"}, {"README", "link", "run.sh", ".git"}} {
		workspace := t.TempDir()
		wanted := Wanted{Repository: repository, Branch: "b", Secret: server.secret(t, "")}
		succeed(t, workspace, wanted)
		if err := os.Mkdir(filepath.Join(workspace, finished), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{".git", "README", "link", "run.sh"} {
			if !strings.Contains(strings.Join(placed, " "), name) {
				if err := os.Rename(filepath.Join(workspace, name), filepath.Join(workspace, finished, name)); err != nil {
					t.Fatal(err)
				}
			}
		}

		succeed(t, workspace, Wanted{Repository: repository, Branch: "of-a-fork"})

		if got := names(t, workspace); got != ".git README link run.sh" {
			t.Errorf("after %v the workspace holds %q", placed, got)
		}
		if got := run(t, workspace, "status", "--porcelain", "--branch"); got != "## of-a-fork" {
			t.Errorf("after %v: %q", placed, got)
		}
	}
}
