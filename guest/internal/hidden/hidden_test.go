package hidden

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValuesAreCoveredWhereverTheyComeFrom(t *testing.T) {
	folder := t.TempDir()
	data := filepath.Join(folder, "..data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"token": "file-v4lue\n", "cert": "-----BEGIN-----\nfirst-line\nsecond-line\n"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	sources := Sources{
		Variables: []string{"KEY"},
		Prefixes:  []string{"DB_"},
		Plain:     []string{"DB_NAME"},
		Folders:   []string{folder, filepath.Join(folder, "missing")},
	}
	environment := []string{"KEY=key-v4lue", "DB_PASSWORD=key-v4lue-longer", "DB_NAME=customers", "STAGE=production"}
	mask := sources.Mask(environment)
	for line, want := range map[string]string{
		"+ curl -H key-v4lue https://x/key-v4lue": "+ curl -H *** https://x/***",
		"key-v4lue-longer":                        "***",
		"got file-v4lue, second-line":             "got ***, ***",
		"customers of production":                 "customers of production",
		"":                                        "",
	} {
		if got := mask.Line(line, false); got != want {
			t.Errorf("%q is told as %q, not %q", line, got, want)
		}
	}
}

func TestOfAWholeSecretWithoutPrefixAllButThePodsOwnVariablesAreCovered(t *testing.T) {
	sources := Sources{Prefixes: []string{""}, Plain: []string{"STAGE"}}
	mask := sources.Mask([]string{"STAGE=production", "PATH=/usr/local/bin:/usr/bin", "TOKEN=some-v4lue", "SHORT=1234567"})
	line := "production /usr/local/bin:/usr/bin some-v4lue 1234567"
	if got := mask.Line(line, false); got != "production /usr/local/bin:/usr/bin *** 1234567" {
		t.Error(got)
	}
}

func TestTheBeginningOfAValueIsCoveredWhereALineIsCutOff(t *testing.T) {
	mask := Sources{Variables: []string{"KEY", "OTHER"}}.Mask([]string{"KEY=" + strings.Repeat("abcdefgh", 1000), "OTHER=other-v4lue"})
	cut := "key: " + strings.Repeat("abcdefgh", 10) + "abc"
	if got := mask.Line(cut, true); got != "key: ***" {
		t.Error(got)
	}
	if got := mask.Line(cut, false); got != cut {
		t.Error(got)
	}
	if got := mask.Line("other-v4lue and other-v", true); got != "*** and other-v" {
		t.Error(got)
	}
}

func TestWhereNothingIsHiddenNothingIsCovered(t *testing.T) {
	if got := (Mask{}).Line("some-v4lue", true); got != "some-v4lue" {
		t.Error(got)
	}
}
