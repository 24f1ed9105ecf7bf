package checkout

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sandkeeper.dev/guest/internal/credential"
)

const password = "s3cret-word"

// run runs Git itself, the judge of everything that is made here.
func run(t *testing.T, folder string, arguments ...string) string {
	t.Helper()
	command := exec.Command("git", arguments...)
	command.Dir = folder
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(arguments, " "), err, said)
	}
	return strings.TrimSpace(string(said))
}

// server is Git over HTTPS with a login, by Git's own program.
type server struct {
	*httptest.Server
	// folder holds the bare repositories.
	folder string
}

func serve(t *testing.T) server {
	t.Helper()
	programs, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal("there is no Git on this machine, the judge of what is made here")
	}
	folder := t.TempDir()
	backend := &cgi.Handler{
		Path:   filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend"),
		Env:    []string{"GIT_PROJECT_ROOT=" + folder, "GIT_HTTP_EXPORT_ALL=1"},
		Stderr: io.Discard,
	}
	handler := http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if _, given, _ := request.BasicAuth(); given != password && strings.HasPrefix(request.URL.Path, "/private") {
			answer.Header().Set("WWW-Authenticate", "Basic")
			http.Error(answer, "you said "+given, http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(answer, request)
	})
	started := httptest.NewTLSServer(handler)
	started.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(started.Close)
	return server{started, folder}
}

// publish makes a repository with a branch, a tag, a program and a link.
func (s server) publish(t *testing.T, name string) string {
	t.Helper()
	work := t.TempDir()
	run(t, work, "init", "-q", "-b", "main")
	write := func(name, content string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("README", "one\n", 0o644)
	write("run.sh", "#!/bin/sh\n", 0o755)
	if err := os.Symlink("README", filepath.Join(work, "link")); err != nil {
		t.Fatal(err)
	}
	run(t, work, "add", ".")
	run(t, work, "commit", "-q", "-m", "one")
	run(t, work, "tag", "-a", "v1", "-m", "first")
	write("README", "two\n", 0o644)
	run(t, work, "commit", "-q", "-a", "-m", "two")
	run(t, work, "branch", "other", "v1")
	run(t, s.folder, "clone", "-q", "--bare", work, name)
	return s.URL + "/" + name
}

// secret is a login, with the server's certificate as an authority.
func (s server) secret(t *testing.T, word string) credential.Secret {
	t.Helper()
	folder := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	keys := map[string][]byte{"ca.crt": authority}
	if word != "" {
		keys["username"], keys["password"] = []byte("bot"), []byte(word+"\n")
	}
	for key, value := range keys {
		if err := os.WriteFile(filepath.Join(folder, key), value, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return credential.Secret(folder)
}

// prepare runs what is tested, and tells what went wrong as a user reads it.
func prepare(t *testing.T, folder string, wanted Wanted) string {
	t.Helper()
	var said bytes.Buffer
	wanted.Log = log.New(&said, "", 0)
	told := ""
	if err := Prepare(context.Background(), folder, wanted); err != nil {
		told = Reason(err, wanted)
	}
	for _, secret := range []string{password, base64.StdEncoding.EncodeToString([]byte("bot:" + password))} {
		if strings.Contains(said.String()+told, secret) {
			t.Errorf("the login stands in %q or %q", said.String(), told)
		}
	}
	return told
}

func succeed(t *testing.T, folder string, wanted Wanted) {
	t.Helper()
	if told := prepare(t, folder, wanted); told != "" {
		t.Fatal(told)
	}
}
