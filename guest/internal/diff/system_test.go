package diff

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var image = map[string]string{"etc/passwd": "root", "etc/motd": "welcome", "usr/bin/tool": "tool"}

func TestWhatPacksHaveIsCompared(t *testing.T) {
	both := newTwo(t)
	both.packed(both.old, image, map[string]string{"opt/same": "same", "opt/other": "1", "opt/gone": "12", "etc/passwd": "root agent"})
	both.packed(both.now, image, map[string]string{"opt/same": "same", "opt/other": "2", "opt/a/came": "123", "etc/passwd": "root agent"}, "etc/motd")
	summary := both.mustTell(
		"deleted other system/etc/motd",
		"added directory system/opt/a",
		"added file system/opt/a/came to 3",
		"deleted file system/opt/gone from 2",
		"changed file system/opt/other from 1 to 1",
	)
	want := Counts{Added: 2, Changed: 1, Deleted: 2, BytesAdded: 3, BytesDeleted: 2}
	if *summary.System != want {
		t.Errorf("the summary is %+v", summary.System)
	}
}

func TestWithoutAPackARootFileSystemIsAsTheImageHasIt(t *testing.T) {
	both := newTwo(t)
	both.packed(both.old, image, map[string]string{"opt/file": "12"}, "etc/motd")
	summary := both.mustTell(
		"added other system/etc/motd",
		"deleted directory system/opt",
		"deleted file system/opt/file from 2",
	)
	if summary.System.Deleted != 2 || summary.Workspace != (Counts{}) {
		t.Errorf("the summary is %+v", summary)
	}
}

func TestWhatTheImageHasTooIsChangedInWhicheverPackItIs(t *testing.T) {
	both := newTwo(t)
	both.packed(both.old, image, map[string]string{"etc/passwd": "root agent"})
	both.packed(both.now, image, map[string]string{"usr/bin/tool": "another"})
	summary := both.mustTell("changed file system/etc/passwd from 10", "changed file system/usr/bin/tool to 7")
	if *summary.System != (Counts{Changed: 2}) {
		t.Errorf("the summary is %+v", summary.System)
	}
}

func TestAFolderOfTheImageIsToldWhereNothingInItIs(t *testing.T) {
	both := newTwo(t)
	// In a/b something was made and removed again; in x something is left.
	both.packed(both.now, map[string]string{"a/b/c": "", "x/y/z": ""}, map[string]string{"a/b/d": "", "x/y/new": ""}, "a/b/d")
	both.mustTell("changed directory system/a/b", "added file system/x/y/new to 0")
}

func TestNothingIsToldBetweenTwoPacksOfTheSame(t *testing.T) {
	both := newTwo(t)
	both.packed(both.old, image, map[string]string{"opt/file": "12"})
	both.packed(both.now, image, map[string]string{"opt/file": "12"})
	both.mustTell()
}

func TestAPackThatIsNoneIsCountedAndToldAndTheRestIsCompared(t *testing.T) {
	outside := newTwo(t)
	outside.packed(outside.old, image, map[string]string{"opt/file": "secret"})
	real := filepath.Join(outside.old, "system")
	content := func(content string) func(string) error {
		return func(system string) error {
			write(t, system, map[string]string{"pack": content})
			return nil
		}
	}
	inFolder := func(make func(pack string) error) func(string) error {
		return func(system string) error {
			if err := os.Mkdir(system, 0o755); err != nil {
				return err
			}
			return make(filepath.Join(system, "pack"))
		}
	}
	for name, make := range map[string]func(system string) error{
		"a link":           inFolder(func(pack string) error { return os.Symlink(filepath.Join(real, "pack"), pack) }),
		"a link on a way":  func(system string) error { return os.Symlink(real, system) },
		"a pipe":           inFolder(func(pack string) error { return unix.Mkfifo(pack, 0o600) }),
		"a folder":         inFolder(func(pack string) error { return os.Mkdir(pack, 0o755) }),
		"empty":            content(""),
		"something else":   content(strings.Repeat("no pack", 1000)),
		"in a file's path": func(system string) error { return os.WriteFile(system, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			both := newTwo(t)
			both.workspace(nil, map[string]string{"file": "1"})
			must(t, make(filepath.Join(both.now, "system")))
			lines, summary, log := both.compared()
			if summary.Unread != 1 || summary.System != nil || summary.Packages != nil || !strings.Contains(log, "/system/pack") {
				t.Errorf("the summary is %+v: %s", summary, log)
			}
			if len(lines) != 1 || lines[0] != "added file workspace/file to 1" {
				t.Errorf("it tells %v", lines)
			}
		})
	}
}

func TestADamagedPackIsNotCompared(t *testing.T) {
	both := newTwo(t)
	both.packed(both.now, image, map[string]string{"opt/file": "12"})
	path := filepath.Join(both.now, "system/pack")
	content, err := os.ReadFile(path)
	must(t, err)
	content[len(content)/2] ^= 1
	must(t, os.WriteFile(path, content, 0o600))
	if lines, summary, log := both.compared(); len(lines) != 0 || summary.Unread != 1 || !strings.Contains(log, "damaged") {
		t.Errorf("it tells %v: %s", lines, log)
	}
}

func TestAPackOfMoreThanFitsIntoMemoryIsNotCompared(t *testing.T) {
	both := newTwo(t)
	both.packed(both.now, image, map[string]string{"opt/file": "12"})
	now, err := openVolume(both.now)
	must(t, err)
	defer now.close()
	if _, err := readSystem(now, itemCosts); err != errTooLarge {
		t.Errorf("it says %v", err)
	}
}

// dpkg is a status file of packages with their versions.
func dpkg(packages ...string) string {
	var status strings.Builder
	for _, each := range packages {
		name, version, _ := strings.Cut(each, "=")
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\nDescription: one\n more\n\n", name, version)
	}
	return status.String()
}

// packages are the changes of one manager in words.
func (b *two) packages(manager string) string {
	b.t.Helper()
	_, summary, log := b.compared()
	if summary.Unread != 0 {
		b.t.Fatal(log)
	}
	each := summary.Packages[manager]
	return fmt.Sprintf("added %v changed %v removed %v", each.Added.Names, each.Changed.Names, each.Removed.Names)
}

func TestPackagesOfDebianAreTold(t *testing.T) {
	withStatus := map[string]string{dpkgStatus: dpkg("base=1")}
	for name, each := range map[string]struct {
		old, now   map[string]string
		oldDeleted []string
		nowDeleted []string
		want       string
	}{
		"installed since the image": {
			now:  map[string]string{dpkgStatus: dpkg("base=1", "git=2"), dpkgInfo + "git.list": ""},
			want: "added [git=2] changed [] removed []",
		},
		"installed, upgraded and removed": {
			old:  map[string]string{dpkgStatus: dpkg("base=1", "git=2", "jq=1"), dpkgInfo + "git.list": "", dpkgInfo + "jq.list": ""},
			now:  map[string]string{dpkgStatus: dpkg("base=2", "git=2", "curl=3"), dpkgInfo + "git.list": "", dpkgInfo + "curl.list": ""},
			want: "added [curl=3] changed [base=1->2] removed [jq=1]",
		},
		"upgraded from the image's": {
			now:  map[string]string{dpkgStatus: dpkg("base=2"), dpkgInfo + "base.list": "new"},
			want: "added [] changed [base=2] removed []",
		},
		"gone with the pack": {
			old:  map[string]string{dpkgStatus: dpkg("base=1", "git=2"), dpkgInfo + "git.list": ""},
			want: "added [] changed [] removed [git=2]",
		},
		"removed from the image": {
			now:        map[string]string{dpkgStatus: dpkg()},
			nowDeleted: []string{dpkgInfo + "base.list"},
			want:       "added [] changed [] removed [base]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			both := newTwo(t)
			withStatus[dpkgInfo+"base.list"] = ""
			both.packed(both.old, withStatus, each.old, each.oldDeleted...)
			both.packed(both.now, withStatus, each.now, each.nowDeleted...)
			if got := both.packages(apt); got != each.want {
				t.Errorf("it tells %s, not %s", got, each.want)
			}
		})
	}
}

func TestOneNameOfTwoArchitecturesIsTwoPackages(t *testing.T) {
	content := "Package: libc6\nStatus: hold ok installed\nMulti-Arch: same\nArchitecture: arm64\nVersion: 2\n\n" +
		"Package: left\nStatus: deinstall ok config-files\nVersion: 2\n\nPackage: half\nStatus: install ok half-installed\nVersion: 2"
	into := map[key]string{}
	readStatus(strings.NewReader(content), into)
	if len(into) != 1 || into[key{manager: apt, name: "libc6:arm64"}] != "2" {
		t.Errorf("it has %v", into)
	}
}

func TestAStatusFileWithoutSenseOrEndCostsLittle(t *testing.T) {
	into := map[key]string{}
	long := strings.Repeat("x", 1<<20)
	content := long + "\nPackage: " + long + "\nVersion: " + long + "\nStatus: install ok installed\n\n\n\n: \nStatus\n"
	readStatus(strings.NewReader(content), into)
	for which, version := range into {
		if len(which.name)+len(version) > 2*longestWord {
			t.Errorf("%d bytes are kept", len(which.name)+len(version))
		}
	}
	if len(into) != 1 {
		t.Errorf("%d packages are known", len(into))
	}
}

func TestPackagesOfPythonAreToldForEachPlace(t *testing.T) {
	both := newTwo(t)
	place, venv := "usr/lib/python3/site-packages/", "opt/venv/lib/site-packages/"
	with := map[string]string{place + "wheel-1.0.dist-info/METADATA": "Name: wheel", place + "six-1.dist-info/METADATA": ""}
	both.packed(both.old, with, map[string]string{venv + "Flask_Login-0.6.dist-info/METADATA": "", venv + "left-1.dist-info/METADATA": ""})
	both.packed(both.now, with, map[string]string{
		venv + "flask_login-0.7.dist-info/METADATA":  "",
		place + "flask_login-0.7.dist-info/METADATA": "",
		place + "wheel-2.0.dist-info/METADATA":       "",
		place + "numpy-2.0.dist-info/RECORD":         "",
	}, place+"wheel-1.0.dist-info", place+"six-1.dist-info")
	want := "added [flask-login=0.7] changed [flask-login=0.6->0.7 wheel=1.0->2.0] removed [left=1 six=1]"
	if got := both.packages(pip); got != want {
		t.Errorf("it tells %s, not %s", got, want)
	}
}

func TestPackagesOfNodeAreToldButNotThoseInsideOthers(t *testing.T) {
	both := newTwo(t)
	place := "usr/local/lib/node_modules/"
	with := map[string]string{place + "npm/package.json": `{"version": "10"}`}
	both.packed(both.old, with, map[string]string{place + "left/package.json": `{"version": "1"}`, place + "npm/package.json": `{"version": "11"}`})
	both.packed(both.now, with, map[string]string{
		place + "typescript/package.json":                 `{"name": "typescript", "version": "5.9"}`,
		place + "typescript/lib/package.json":             `{"version": "0"}`,
		place + "typescript/node_modules/in/package.json": `{"version": "0"}`,
		place + "@types/node/package.json":                `{"version": "24"}`,
		place + "broken/package.json":                     strings.Repeat("[", 1<<20),
		place + "wrong/package.json":                      `{"version": {"no": "text"}}`,
		"opt/app/package.json":                            `{"version": "0"}`,
	})
	want := "added [@types/node=24 broken typescript=5.9 wrong] changed [npm=11] removed [left=1]"
	if got := both.packages(npm); got != want {
		t.Errorf("it tells %s, not %s", got, want)
	}
}

func TestNamesOfPackagesAreBoundedAndTheSummaryFits(t *testing.T) {
	both := newTwo(t)
	many := map[string]string{}
	for number := range 3 * mostNames {
		many[fmt.Sprintf("opt/site-packages/a_quite_long_name_%03d-%d.dist-info/METADATA", number, number)] = ""
	}
	both.packed(both.now, image, many)
	both.workspace(nil, map[string]string{".git/HEAD": "ref: refs/heads/" + strings.Repeat(`"`, longestRef)})
	_, summary, _ := both.compared()
	if told := summary.Packages[pip].Added; told.Count != 3*mostNames || len(told.Names) != mostNames {
		t.Errorf("%d of %d are told", len(told.Names), told.Count)
	}
	for _, most := range []int{4000, 1500, 1000} {
		fit, err := summary.Fit(most)
		if err != nil || len(fit) > most || !strings.Contains(string(fit), `"count":300`) {
			t.Errorf("of %d bytes it has %d: %v", most, len(fit), err)
		}
	}
}
