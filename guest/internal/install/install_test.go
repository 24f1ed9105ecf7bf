package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sandkeeper.dev/guest/internal/hidden"
)

// note is the beginning of a program that tells how it was called.
const note = "echo \"${0##*/} $*\" >> \"$CALLS\"\n"

// sandbox is an image with programs of the test's own.
type sandbox struct {
	*run
	t     *testing.T
	calls string
	log   bytes.Buffer
}

func newSandbox(t *testing.T, programs map[string]string) *sandbox {
	t.Helper()
	s := &sandbox{t: t, calls: filepath.Join(t.TempDir(), "calls")}
	path := t.TempDir()
	for name, script := range programs {
		write(t, filepath.Join(path, name), "#!/bin/sh\n"+note+script)
	}
	t.Setenv("PATH", path)
	t.Setenv("CALLS", s.calls)
	s.run = &run{ctx: context.Background(), out: &sharedWriter{to: &s.log}, root: t.TempDir(), environment: os.Environ()}
	return s
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// is writes down which distribution the image has.
func (s *sandbox) is(name string) {
	write(s.t, filepath.Join(s.root, "etc/os-release"), fmt.Sprintf("ID=x\nPRETTY_NAME=%q\n", name))
}

// install has to succeed.
func (s *sandbox) install(want Packages, setup string) {
	s.t.Helper()
	if err := s.everything(want, setup); err != nil {
		s.t.Fatalf("%v; printed: %s", err, s.log.String())
	}
}

// refused has to fail by an *Error of the step.
func (s *sandbox) refused(step string, want Packages, setup string) *Error {
	s.t.Helper()
	var failure *Error
	if err := s.everything(want, setup); !errors.As(err, &failure) {
		s.t.Fatalf("not refused: %v", err)
	}
	if failure.Step != step {
		s.t.Errorf("step %s, wanted %s", failure.Step, step)
	}
	return failure
}

func (s *sandbox) called() []string {
	content, _ := os.ReadFile(s.calls)
	return strings.FieldsFunc(string(content), func(r rune) bool { return r == '\n' })
}

func equal[T comparable](t *testing.T, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Errorf("got    %v\nwanted %v", got, wanted)
	}
}

func TestNothingIsRunForNothing(t *testing.T) {
	s := newSandbox(t, map[string]string{"apt-get": "", "dpkg": ""})
	s.install(Packages{}, " \n")
	equal(t, len(s.called()), 0)
}

func TestAptRepairsUpdatesAndInstallsWithoutQuestions(t *testing.T) {
	s := newSandbox(t, map[string]string{"apt-get": `echo "frontend $DEBIAN_FRONTEND"`, "dpkg": ""})
	s.install(Packages{Apt: []string{"git", "curl=7.88"}}, "")
	options := "--quiet --yes -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold " +
		"-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=60 -o Acquire::Retries=3 "
	equal(t, strings.Join(s.called(), "\n"), strings.Join([]string{
		"dpkg --configure --pending --force-confdef --force-confold",
		"apt-get " + options + "update",
		"dpkg --audit",
		"apt-get " + options + "install --no-install-recommends --allow-downgrades -- git curl=7.88",
		"apt-get " + options + "clean",
	}, "\n"))
	if !strings.HasPrefix(s.log.String(), "frontend noninteractive\n") {
		t.Error(s.log.String())
	}
}

func TestWhatDpkgFindsBrokenIsFixedFirst(t *testing.T) {
	broken := `[ "$1" != --audit ] || echo "The following packages are only half installed"`
	s := newSandbox(t, map[string]string{"apt-get": "", "dpkg": broken, "dpkg-query": `echo "ii |whole"; echo "iHR|torn"`})
	s.install(Packages{Apt: []string{"git"}}, "")
	calls := s.called()
	if !strings.HasSuffix(calls[4], " install --reinstall --no-install-recommends -- torn") ||
		!strings.HasSuffix(calls[5], " install --fix-broken") || !strings.HasSuffix(calls[6], " -- git") {
		t.Error(calls)
	}
}

func TestAFailureIsToldByTheLineThatTellsWhy(t *testing.T) {
	unmet := "foo : Depends: bar but it is not installable"
	for _, each := range []struct{ step, printed, first string }{
		{"apt", "Reading package lists...\nE: Unable to locate package nope\nE: other", "E: Unable to locate package nope"},
		{"apt", "The following packages have unmet dependencies:\n " + unmet + "\nE: Unable to correct problems", unmet},
		{"apt", "dpkg: error processing package a (--configure):\nE: Sub-process /usr/bin/dpkg", "dpkg: error processing package a (--configure):"},
		{"apk", "ERROR: unable to select packages:\n  nope (no such package):\n    required by: world[nope]", "nope (no such package):"},
		{"pip", "ERROR: Could not find a version\nERROR: No matching distribution found for nope\nnotice", "ERROR: No matching distribution found for nope"},
		{"npm", "npm error code E404\nnpm error 404 Not Found - GET\nnpm error 404  'nope@*' is not in this registry.", "npm error 404  'nope@*' is not in this registry."},
		{"npm", "npm error code E404\nnpm error 404 Gone - GET http://a/b", "npm error 404 Gone - GET http://a/b"},
		{"npm", "npm ERR! code ETARGET\nnpm ERR! notarget No matching version found for a@9.", "npm ERR! notarget No matching version found for a@9."},
		{"npm", "something else\nthe end", "the end"},
	} {
		s := newSandbox(t, map[string]string{"fail": "printf '%s\\n' \"$1\"; exit 9"})
		s.begin(each.step, installers)
		var failure *Error
		if err := s.execute(nil, "fail", each.printed); !errors.As(err, &failure) {
			t.Fatal(err)
		}
		equal(t, failure.Lines[0], each.first)
		equal(t, failure.ExitCode, 9)
		equal(t, len(failure.Lines), strings.Count(each.printed, "\n")+1)
	}
}

func TestARepositoryThatCannotBeReachedIsToldBesideThePackage(t *testing.T) {
	s := newSandbox(t, map[string]string{"dpkg": "", "apt-get": `case "$*" in
*update) echo "W: Failed to fetch http://a/InRelease  Could not connect" ;;
*) echo "E: Unable to locate package git"; exit 100 ;;
esac`})
	failure := s.refused("apt", Packages{Apt: []string{"git"}}, "touch never")
	equal(t, strings.Join(failure.Lines, "\n"),
		"E: Unable to locate package git\nW: Failed to fetch http://a/InRelease  Could not connect")
	equal(t, failure.ExitCode, 100)
}

func TestListsGoWhereTheImageCameWithout(t *testing.T) {
	for _, lists := range []struct {
		before string
		after  int
	}{{"lock", 0}, {"deb_Packages", 2}} {
		s := newSandbox(t, map[string]string{"dpkg": "", "apt-get": `case "$*" in *update) : > "$LISTS/new_Packages" ;; esac`})
		folder := filepath.Join(s.root, "var/lib/apt/lists")
		write(t, filepath.Join(folder, lists.before), "")
		s.environment = append(s.environment, "LISTS="+folder)
		s.install(Packages{Apt: []string{"git"}}, "")
		left, _ := filepath.Glob(folder + "/*")
		equal(t, len(left), lists.after)
	}
}

func TestAManagerThatTheImageLacksIsNamedWithTheOneThatItHas(t *testing.T) {
	alpine := newSandbox(t, map[string]string{"apk": ""})
	alpine.is("Alpine Linux v3.22")
	failure := alpine.refused("apt", Packages{Apt: []string{"git"}}, "")
	equal(t, failure.Lines[0], "apt is not in this image (Alpine Linux v3.22); use packages.apk")
	equal(t, failure.ExitCode, 127)

	debian := newSandbox(t, map[string]string{"apt-get": "", "dpkg": ""})
	failure = debian.refused("apk", Packages{Apk: []string{"git"}}, "")
	equal(t, failure.Lines[0], "apk is not in this image; use packages.apt")

	bare := newSandbox(t, nil)
	failure = bare.refused("apt", Packages{Apt: []string{"git"}}, "")
	equal(t, failure.Lines[0], "apt is not in this image; install by setup, or choose another image")
	failure = bare.refused("pip", Packages{Pip: []string{"flask"}}, "")
	equal(t, failure.Lines[0],
		"pip is not in this image, and neither is apt or apk, by which it could be installed")
}

func TestWhoIsNotRootIsToldSo(t *testing.T) {
	s := newSandbox(t, map[string]string{"apt-get": "", "dpkg": ""})
	s.uid = 1000
	failure := s.refused("apt", Packages{Apt: []string{"git"}}, "")
	equal(t, failure.Lines[0], "apt needs root, and the container runs as user 1000, as its image says")
}

func TestWhatIsNoPackageIsRefusedBeforeAnythingRuns(t *testing.T) {
	programs := map[string]string{"apt-get": "", "dpkg": "", "apk": "", "python3": "", "npm": ""}
	for name, want := range map[string]Packages{
		`packages.apt: "--allow-unauthenticated" is an option, not a package`: {Apt: []string{"git", "--allow-unauthenticated"}},
		`packages.apt: "bash-" would remove a package`:                        {Apt: []string{"bash-"}},
		`packages.apk: "!bash" would remove a package`:                        {Apk: []string{"!bash"}},
		`packages.pip: " -r" is an option, not a package`:                     {Pip: []string{" -r"}},
		`packages.npm: "" is no package`:                                      {Npm: []string{""}},
		`packages.npm: "a\nb" has control characters`:                         {Npm: []string{"a\nb"}, Apt: []string{"git"}},
	} {
		s := newSandbox(t, programs)
		failure := s.refused(name[len("packages."):len("packages.apt")], want, "")
		equal(t, failure.Lines[0], name)
		equal(t, len(s.called()), 0)
	}
}

func TestApkKeepsNoIndex(t *testing.T) {
	s := newSandbox(t, map[string]string{"apk": ""})
	s.install(Packages{Apk: []string{"git=2.1-r0", "curl"}}, "")
	equal(t, strings.Join(s.called(), "\n"), "apk add --no-cache --no-progress --wait 60 -- git=2.1-r0 curl")
}

func TestPipInstallsForThePythonThatIsCalledFirst(t *testing.T) {
	s := newSandbox(t, map[string]string{
		"python3": "exit 1",
		"python":  `echo "break $PIP_BREAK_SYSTEM_PACKAGES cache $PIP_NO_CACHE_DIR"`,
		"pip3":    "",
	})
	s.environment = append(s.environment, "PIP_NO_CACHE_DIR=0")
	s.install(Packages{Pip: []string{"flask==3.0", "a >= 1"}}, "")
	calls := s.called()
	equal(t, calls[len(calls)-1], "python -m pip install -- flask==3.0 a >= 1")
	equal(t, s.log.String(), "break 1 cache 0\n")
}

func TestPipIsBroughtByPython(t *testing.T) {
	s := newSandbox(t, map[string]string{"apt-get": "exit 1", "dpkg": "exit 1", "python3": `case "$2" in
ensurepip) : > "$CALLS.pip" ;;
*) [ -e "$CALLS.pip" ] ;;
esac`})
	s.install(Packages{Pip: []string{"flask"}}, "")
	calls := s.called()
	equal(t, calls[len(calls)-1], "python3 -m pip install -- flask")
}

func TestPipAndNpmAreBroughtByTheSystemsManager(t *testing.T) {
	for _, each := range []struct{ manager, pip string }{{"apt-get", "python3-pip"}, {"apk", "py3-pip"}} {
		s := newSandbox(t, map[string]string{
			"dpkg": "",
			each.manager: `for word; do case "$word" in
npm) name=npm ;; *-pip) name=pip3 ;; *) continue ;;
esac; printf '#!/bin/sh\necho "${0##*/} $*" >> "$CALLS"\n' > "$PATH/$name"; /bin/chmod 755 "$PATH/$name"; done`,
		})
		s.install(Packages{Pip: []string{"flask"}, Npm: []string{"left-pad@1.3.0"}}, "")
		calls := s.called()
		for _, wanted := range []string{"pip3 install -- flask", "npm install --global -- left-pad@1.3.0"} {
			if !slices.Contains(calls, wanted) {
				t.Errorf("%q is not in %q", wanted, calls)
			}
		}
		updates := slices.DeleteFunc(calls, func(call string) bool { return !strings.HasSuffix(call, " update") })
		if len(updates) > 1 {
			t.Error(updates)
		}
	}
}

func TestNpmLeavesNothingItDownloaded(t *testing.T) {
	s := newSandbox(t, map[string]string{"npm": `echo "$npm_config_cache"; : > "$npm_config_cache/archive"`})
	s.install(Packages{Npm: []string{"@scope/a@^1"}}, "")
	cache := strings.TrimSpace(s.log.String())
	if _, err := os.Stat(cache); cache == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q: %v", cache, err)
	}
}

func TestSetupRunsLastInTheContainersFolderAndEnvironment(t *testing.T) {
	s := newSandbox(t, map[string]string{"npm": "echo packages"})
	t.Chdir(t.TempDir())
	here, _ := os.Getwd()
	s.environment = append(s.environment, "GREETING=hello")
	s.install(Packages{Npm: []string{"a"}}, "echo $GREETING from $PWD >&2")
	equal(t, s.log.String(), "packages\nhello from "+here+"\n")
}

func TestSetupStopsAtTheFirstFailure(t *testing.T) {
	s := newSandbox(t, nil)
	failure := s.refused("setup", Packages{}, "echo first\necho ERROR: why >&2\n(exit 7)\necho never")
	equal(t, strings.Join(failure.Lines, "|"), "ERROR: why|first")
	equal(t, failure.ExitCode, 7)
	failure = s.refused("setup", Packages{}, "echo $missing")
	if !strings.Contains(failure.Lines[0], "missing") {
		t.Error(failure.Lines)
	}
	equal(t, s.refused("setup", Packages{}, "kill -TERM $$").ExitCode, 128+int(syscall.SIGTERM))
}

func TestSetupIsRunByTheProgramOfItsFirstLine(t *testing.T) {
	s := newSandbox(t, map[string]string{"cook": `while read -r line; do echo "cooked: $line"; done < "$2"`})
	s.install(Packages{}, "#!"+os.Getenv("PATH")+"/cook -x\necho raw")
	if !strings.HasSuffix(s.log.String(), "cooked: echo raw\n") && !strings.Contains(s.log.String(), "cooked: #!") {
		t.Error(s.log.String())
	}
	failure := s.refused("setup", Packages{}, "#!/no/such/python -u\nprint()")
	equal(t, failure.Lines[0], "/no/such/python, which the script's first line names, is not in this image")
	equal(t, failure.ExitCode, 127)
}

func TestAProgramOfTheFirstLineNeedsNoFolderForPassingFiles(t *testing.T) {
	for name, make := range map[string]func(s *sandbox){
		"in a folder of our own": func(s *sandbox) { equal(t, os.Mkdir(filepath.Join(s.root, ".sandkeeper"), 0o755), nil) },
		"in memory":              func(*sandbox) {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox(t, nil)
			make(s)
			t.Setenv("TMPDIR", filepath.Join(s.root, "missing"))
			s.install(Packages{}, "#!/bin/sh\necho cooked by ${0##*/}")
			if said := s.log.String(); !strings.HasPrefix(said, "cooked by ") {
				t.Error(said)
			}
			left, err := filepath.Glob(filepath.Join(s.root, ".sandkeeper", "*"))
			equal(t, len(left), 0)
			equal(t, err, nil)
		})
	}
}

func TestWhatIsPrintedIsShownAsItIsAndKeptCleanAndShort(t *testing.T) {
	s := newSandbox(t, nil)
	script := `i=0; while [ $i -lt 300 ]; do echo "line $i"; i=$((i+1)); done
long=xxxxxxxxxxxxxxxx; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do long=$long$long; done; printf %s "$long"
printf '\n\033[31mred\033[0m\033]0;title\007 \001\000\377\nprogress 1%%\rprogress 2%%\r'; exit 3`
	failure := s.refused("setup", Packages{}, script)
	if s.log.Len() < 1<<20 || !strings.Contains(s.log.String(), "\x1b[31mred") {
		t.Error("not all that was printed is shown")
	}
	equal(t, strings.Join(failure.Lines[len(failure.Lines)-2:], "|"), "red \uFFFD|progress 1%")
	equal(t, failure.Lines[0], "progress 2%")
	size := 0
	for _, line := range failure.Lines {
		size += len(line)
	}
	if size > keptBytes+keptLineBytes || len(failure.Lines) > keptLines+keptTelling {
		t.Errorf("%d bytes in %d lines", size, len(failure.Lines))
	}
}

func TestWhatSecretsHoldIsShownAndNotTold(t *testing.T) {
	s := newSandbox(t, nil)
	long := strings.Repeat("k3y", 2000)
	t.Setenv("TOKEN", "some-v4lue")
	t.Setenv("LONG", long)
	s.environment = os.Environ()
	s.mask = hidden.Sources{Variables: []string{"TOKEN", "LONG"}}.Mask(s.environment)
	failure := s.refused("setup", Packages{}, `echo "$LONG"; set -x; echo "Bearer $TOKEN"; exit 1`)
	told := strings.Join(failure.Lines, "|")
	if strings.Contains(told, "some-v4lue") || strings.Contains(told, "k3y") || !strings.Contains(told, "Bearer ***") {
		t.Error(told)
	}
	if said := s.log.String(); !strings.Contains(said, "some-v4lue") || !strings.Contains(said, long) {
		t.Error(said)
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestALogThatFailsDoesNotStopTheInstallation(t *testing.T) {
	s := newSandbox(t, nil)
	s.out = &sharedWriter{to: closed{}}
	s.install(Packages{}, "i=0; while [ $i -lt 20000 ]; do echo line; i=$((i+1)); done")
}

func TestADaemonOfSetupLivesOnAndIsHeard(t *testing.T) {
	heard, daemon, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := newSandbox(t, nil)
	s.out = &sharedWriter{to: daemon}
	goOn := filepath.Join(t.TempDir(), "go-on")
	if err := syscall.Mkfifo(goOn, 0o600); err != nil {
		t.Fatal(err)
	}
	s.install(Packages{}, "(read -r word < "+goOn+"; echo \"heard $word\") &")
	if err := os.WriteFile(goOn, []byte("hello\n"), 0); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 100)
	count, _ := heard.Read(line)
	equal(t, string(line[:count]), "heard hello\n")
}

func TestACancelledRunEndsAllThatItStarted(t *testing.T) {
	s := newSandbox(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	alive := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(alive, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		done <- s.everything(Packages{}, "(trap '' TERM; exec > "+alive+"; while :; do /bin/sleep 1; done) & wait")
	}()
	reader, err := os.Open(alive)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// The child held the other end open, and was deaf to being asked.
	_ = reader.SetReadDeadline(time.Now().Add(time.Minute))
	if count, err := reader.Read(make([]byte, 1)); count != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", count, err)
	}
}
