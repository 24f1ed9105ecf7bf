package diff

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// at is a path in the workspace of a volume.
func at(volume, path string) string { return filepath.Join(volume, "workspace", path) }

func TestFilesThatCameWentAndChangedAreToldInOrder(t *testing.T) {
	both := newTwo(t)
	both.workspace(
		map[string]string{"same": "same", "gone": "12345", "grown": "1", "shrunk": "123", "a/left": "1", "a.txt": "1"},
		map[string]string{"same": "same", "came": "12", "grown": "123", "shrunk": "1", "a/right": "12", "a.txt": "2"},
	)
	summary := both.mustTell(
		"deleted file workspace/a/left from 1",
		"added file workspace/a/right to 2",
		"changed file workspace/a.txt from 1 to 1",
		"added file workspace/came to 2",
		"deleted file workspace/gone from 5",
		"changed file workspace/grown from 1 to 3",
		"changed file workspace/shrunk from 3 to 1",
	)
	want := Counts{Added: 2, Changed: 3, Deleted: 2, BytesAdded: 6, BytesDeleted: 8}
	if summary.Workspace != want {
		t.Errorf("the summary is %+v", summary.Workspace)
	}
}

func TestNothingIsToldWhereOnlyTimesChanged(t *testing.T) {
	both := newTwo(t)
	files := map[string]string{"folder/file": "content"}
	both.workspace(files, files)
	for _, path := range []string{"folder/file", "folder"} {
		must(t, os.Chtimes(at(both.now, path), time.Unix(1, 0), time.Unix(1, 0)))
	}
	both.mustTell()
}

func TestAnotherContentOfTheSameSizeAndTimeIsTold(t *testing.T) {
	both := newTwo(t)
	both.workspace(map[string]string{"file": "good"}, map[string]string{"file": "evil"})
	for _, volume := range []string{both.old, both.now} {
		must(t, os.Chtimes(at(volume, "file"), time.Unix(1, 0), time.Unix(1, 0)))
	}
	both.mustTell("changed file workspace/file from 4 to 4")
}

func TestModesTargetsAndKindsAreCompared(t *testing.T) {
	both := newTwo(t)
	files := map[string]string{"program": "x", "folder/file": "x"}
	both.workspace(files, files)
	must(t, os.Chmod(at(both.now, "program"), 0o755))
	must(t, os.Chmod(at(both.now, "folder"), 0o700))
	must(t, os.Symlink("here", at(both.old, "link")))
	must(t, os.Symlink("there", at(both.now, "link")))
	must(t, os.Symlink("same", at(both.old, "steady")))
	must(t, os.Symlink("same", at(both.now, "steady")))
	write(t, at(both.old, "turned"), map[string]string{"inside": "12"})
	must(t, os.Symlink("/etc", at(both.now, "turned")))
	both.mustTell(
		"changed directory workspace/folder",
		"changed symlink workspace/link from 4 to 5",
		"changed file workspace/program from 1 to 1",
		"changed symlink workspace/turned was directory to 4",
		"deleted file workspace/turned/inside from 2",
	)
}

func TestAWholeTreeThatCameOrWentIsTold(t *testing.T) {
	both := newTwo(t)
	both.workspace(map[string]string{"old/a/b": "1"}, map[string]string{"new/a/b": "1"})
	both.mustTell(
		"added directory workspace/new", "added directory workspace/new/a", "added file workspace/new/a/b to 1",
		"deleted directory workspace/old", "deleted directory workspace/old/a", "deleted file workspace/old/a/b from 1",
	)
}

func TestNeitherPipesNorLinksAreOpened(t *testing.T) {
	both := newTwo(t)
	write(t, filepath.Dir(both.old), map[string]string{"outside/secret": "secret"})
	for _, volume := range []string{both.old, both.now} {
		must(t, unix.Mkfifo(at(volume, "pipe"), 0o600))
		must(t, unix.Mknod(at(volume, "socket"), unix.S_IFSOCK|0o600, 0))
	}
	must(t, os.Symlink(filepath.Join(filepath.Dir(both.old), "outside"), at(both.now, "way")))
	must(t, unix.Mkfifo(at(both.now, "fresh"), 0o600))
	lines, summary, _ := both.compared()
	if len(lines) != 2 || lines[0] != "added other workspace/fresh" || strings.Contains(lines[1], "secret") || summary.Unread != 0 {
		t.Errorf("it tells %v", lines)
	}
}

func TestAnyNameIsALineOfItsOwnThatCanBeReadBack(t *testing.T) {
	both := newTwo(t)
	name := "line\n{\"summary\":1}\x1b[2J\xff\\"
	both.workspace(nil, map[string]string{name: ""})
	var out bytes.Buffer
	_, err := Run(both.old, both.now, &out, t.Output())
	must(t, err)
	first, rest, _ := strings.Cut(out.String(), "\n")
	var change Change
	must(t, json.Unmarshal([]byte(first), &change))
	if string(change.Bytes) != "workspace/"+name || strings.Contains(first, "\x1b") || strings.Count(rest, "\n") != 1 {
		t.Errorf("it tells %q", out.String())
	}
	if change.Path != "workspace/line\n{\"summary\":1}\x1b[2J\\xff\\" {
		t.Errorf("the path is %q", change.Path)
	}
}

func TestNoNameDoesMoreToATerminalThanPrint(t *testing.T) {
	both := newTwo(t)
	name := "a\u009b2J\u202egnp.exe\u007f\U000e0041 é"
	both.workspace(nil, map[string]string{name: ""})
	var out bytes.Buffer
	_, err := Run(both.old, both.now, &out, t.Output())
	must(t, err)
	first, _, _ := strings.Cut(out.String(), "\n")
	if strings.ContainsFunc(first, func(letter rune) bool { return !unicode.IsPrint(letter) }) {
		t.Errorf("it tells %q", first)
	}
	var change Change
	must(t, json.Unmarshal([]byte(first), &change))
	if change.Path != "workspace/"+name || change.Bytes != nil {
		t.Errorf("the path is %q", change.Path)
	}
}

func TestHolesTakeNoTimeAndWhatIsAfterThemIsSeen(t *testing.T) {
	both := newTwo(t)
	both.workspace(map[string]string{"same": "", "other": ""}, map[string]string{"same": "", "other": ""})
	for _, volume := range []string{both.old, both.now} {
		for _, name := range []string{"same", "other"} {
			must(t, os.Truncate(at(volume, name), 1<<40))
		}
	}
	file, err := os.OpenFile(at(both.now, "other"), os.O_WRONLY, 0)
	must(t, err)
	defer file.Close()
	_, err = file.WriteAt([]byte("x"), 1<<40-1)
	must(t, err)
	both.mustTell("changed file workspace/other from 1099511627776 to 1099511627776")
}

func TestWhatLiesTooDeepIsCountedAndTold(t *testing.T) {
	both := newTwo(t)
	must(t, os.MkdirAll(at(both.now, strings.Repeat("d/", deepest+10)), 0o755))
	lines, summary, log := both.compared()
	if len(lines) != deepest+1 || summary.Unread != 1 || !strings.Contains(log, errTooDeep.Error()) {
		t.Errorf("%d are told and %d unread: %.200s", len(lines), summary.Unread, log)
	}
}

func TestMoreNamesThanFitIntoMemoryAreCountedAndTold(t *testing.T) {
	both := newTwo(t)
	both.workspace(nil, map[string]string{"many/1": "", "many/2": "", "many/3": "", "few/1": "", "few/2": ""})
	old, err := openVolume(both.old)
	must(t, err)
	defer old.close()
	now, err := openVolume(both.now)
	must(t, err)
	defer now.close()
	var out, log bytes.Buffer
	p := &pair{report: &report{out: json.NewEncoder(&out), log: &log}, counts: &Counts{}}
	p.left = len("few") + len("many") + 4*nameCosts + 2

	p.folders(old.workspace, now.workspace, "workspace")
	if p.report.summary.Unread != 1 || !strings.Contains(log.String(), `"workspace/many"`) || p.counts.Added != 4 {
		t.Errorf("%+v are counted: %s", p.counts, log.String())
	}
}

func TestAFileIsOnlyTakenForUntouchedWhereNobodyCanHaveWrittenToIt(t *testing.T) {
	long := unix.Timespec{Sec: 1000}
	newest := time.Unix(1000, 0).Add(unsettled + time.Second).UnixNano()
	same := unix.Stat_t{Ino: 7, Ctim: long, Mtim: long}
	for name, each := range map[string]struct {
		now    unix.Stat_t
		newest int64
		alike  bool
		want   bool
	}{
		"all the same":         {same, newest, true, true},
		"another disk":         {same, newest, false, false},
		"another inode":        {unix.Stat_t{Ino: 8, Ctim: long, Mtim: long}, newest, true, false},
		"another ctime":        {unix.Stat_t{Ino: 7, Ctim: unix.Timespec{Sec: 1000, Nsec: 1}, Mtim: long}, newest, true, false},
		"another mtime":        {unix.Stat_t{Ino: 7, Ctim: long, Mtim: unix.Timespec{Sec: 1}}, newest, true, false},
		"shortly before":       {same, newest - 2*time.Second.Nanoseconds(), true, false},
		"nothing newer common": {same, 0, true, false},
	} {
		p := &pair{alike: each.alike, newest: each.newest}
		if got := p.untouched(&same, &each.now); got != each.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOnlyWhatBothVolumesHaveTellsWhenTheOldOneWasTaken(t *testing.T) {
	p := &pair{}
	now := unix.Stat_t{Ino: 7, Ctim: unix.Timespec{Sec: 2000}}
	p.see(&unix.Stat_t{Ino: 7, Ctim: unix.Timespec{Sec: 1000}}, &now)
	if p.newest != 0 {
		t.Errorf("it is %d", p.newest)
	}
	if p.see(&now, &now); p.newest != now.Ctim.Nano() {
		t.Errorf("it is %d", p.newest)
	}
}

func TestWhatIsNoVolumeIsToldInASentence(t *testing.T) {
	both := newTwo(t)
	for name, make := range map[string]func(workspace string) error{
		"nothing": func(string) error { return nil },
		"a link":  func(workspace string) error { return os.Symlink("/etc", workspace) },
		"a file":  func(workspace string) error { return os.WriteFile(workspace, nil, 0o600) },
	} {
		folder := t.TempDir()
		must(t, make(filepath.Join(folder, "workspace")))
		for _, order := range [][2]string{{folder, both.now}, {both.old, folder}} {
			var out bytes.Buffer
			_, err := Run(order[0], order[1], &out, t.Output())
			if err == nil || !strings.HasPrefix(err.Error(), folder+" is no volume of a sandbox: ") || out.Len() != 0 {
				t.Errorf("%s: it says %v and tells %q", name, err, out.String())
			}
		}
	}
}
