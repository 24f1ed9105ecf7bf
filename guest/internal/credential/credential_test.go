package credential

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func secret(t *testing.T, keys map[string]string) Secret {
	t.Helper()
	folder := t.TempDir()
	for key, value := range keys {
		if err := os.WriteFile(filepath.Join(folder, key), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Secret(folder)
}

func ask(t *testing.T, action, asked string, from Secret) string {
	t.Helper()
	origin, err := OriginOf("https://Git.Example.com:8443/team/app.git")
	if err != nil {
		t.Fatal(err)
	}
	var answer strings.Builder
	if err := Answer(action, origin, from, strings.NewReader(asked), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.String()
}

func TestOnlyTheRepositorysServerIsAnswered(t *testing.T) {
	login := secret(t, map[string]string{"username": "bot\n", "password": "s3cret\n"})
	for asked, wanted := range map[string]string{
		"protocol=https\nhost=git.example.com:8443\n\n":               "username=bot\npassword=s3cret\n",
		"protocol=https\nhost=GIT.example.com:8443\nusername=bot\n\n": "username=bot\npassword=s3cret\n",
		"protocol=https\nhost=git.example.com:8443\nusername=me\n\n":  "",
		"protocol=https\nhost=git.example.com\n\n":                    "",
		"protocol=http\nhost=git.example.com:8443\n\n":                "",
		"protocol=https\nhost=evil.example.com\n\n":                   "",
		"protocol=https\nhost=git.example.com:8443.evil.com\n\n":      "",
		"\nprotocol=https\nhost=git.example.com:8443\n":               "",
		"": "",
	} {
		if got := ask(t, "get", asked, login); got != wanted {
			t.Errorf("%q was answered %q, not %q", asked, got, wanted)
		}
	}
}

func TestNothingIsStoredOrErased(t *testing.T) {
	login := secret(t, map[string]string{"username": "bot", "password": "s3cret"})
	for _, action := range []string{"store", "erase", "capability", ""} {
		if got := ask(t, action, "protocol=https\nhost=git.example.com:8443\n\n", login); got != "" {
			t.Errorf("%s was answered %q", action, got)
		}
	}
}

func TestATokenNeedsNoUserAndARotatedOneIsTheNextAnswer(t *testing.T) {
	token, asked := secret(t, map[string]string{"token": "one"}), "protocol=https\nhost=git.example.com:8443\n\n"
	if got := ask(t, "get", asked, token); got != "username=x-access-token\npassword=one\n" {
		t.Errorf("got %q", got)
	}
	if err := os.WriteFile(filepath.Join(string(token), "token"), []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, "get", asked, token); got != "username=x-access-token\npassword=two\n" {
		t.Errorf("got %q", got)
	}
}

func TestALoginOfSeveralLinesIsRefusedWithoutBeingTold(t *testing.T) {
	origin, _ := OriginOf("https://git.example.com/app")
	broken := secret(t, map[string]string{"password": "s3cret\nhost=evil.example.com"})
	var answer strings.Builder
	err := Answer("get", origin, broken, strings.NewReader("protocol=https\nhost=git.example.com\n\n"), &answer)
	if err == nil || strings.Contains(err.Error(), "s3cret") || answer.Len() != 0 {
		t.Errorf("got %q and %v", answer.String(), err)
	}
}

func TestASecretWithoutALoginAnswersNothing(t *testing.T) {
	asked := "protocol=https\nhost=git.example.com:8443\n\n"
	for _, empty := range []Secret{"", secret(t, map[string]string{"ca.crt": "PEM", "username": "bot"})} {
		if got := ask(t, "get", asked, empty); got != "" {
			t.Errorf("got %q", got)
		}
	}
}

func TestTheUsualPortIsNoOtherServer(t *testing.T) {
	origin, err := OriginOf("https://git.example.com:443/app")
	if err != nil || !origin.is("https", "git.example.com") || origin.String() != "https://git.example.com" {
		t.Errorf("got %v, %v", origin, err)
	}
	for _, bad := range []string{"http://a/b", "https://me:pw@a/b", "ssh://a/b", "https:///b", "/b"} {
		if _, err := OriginOf(bad); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
