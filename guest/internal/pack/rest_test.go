package pack

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// overlays are options that overlays may be mounted with.
var overlays = []string{
	"userxattr", "xino=on", "xino=off", "index=on", "index=off,redirect_dir=on", "metacopy=on,redirect_dir=on",
	"index=on,metacopy=on,redirect_dir=on,xino=on", "index=on,nfs_export=on", "volatile",
}

// overlaysHere runs a test again in a mount namespace of its own, and returns, where this is the run, the options that
// whoever runs it may mount an overlay with: without root, the first alone.
func overlaysHere(t *testing.T) []string {
	t.Helper()
	if os.Getenv("OVERLAYS_OF_ROOT") == t.Name() {
		return overlays
	}
	if os.Getuid() != 0 || os.Getenv("WITH_MOUNTS") == t.Name() {
		if withMounts(t) {
			return overlays[:1]
		}
		return nil
	}
	// They mostly wait for time to pass.
	together := fmt.Sprint("-test.parallel=", len(overlays))
	command := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", together)
	command.Env = append(os.Environ(), "OVERLAYS_OF_ROOT="+t.Name())
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return nil
}

// container is one that starts for the first time, with nothing recalled.
type container struct {
	*tree
	// changed is the upper folder.
	changed string
	index   *Index
}

// firstOf gives a container whose runtime made a folder to begin in.
func firstOf(t *testing.T, options, image string) *container {
	t.Helper()
	upper := filepath.Join(t.TempDir(), "upper")
	must(t, os.Mkdir(upper, 0o755))
	return firstOn(t, options, image, upper)
}

func firstOn(t *testing.T, options, image, upper string) *container {
	t.Helper()
	first := &container{tree: &tree{t: t, path: overlaidWith(t, options, image, upper)}, changed: upper}
	_ = os.MkdirAll(first.at("begin/here"), 0o755)
	first.indexed()
	return first
}

func (c *container) indexed() {
	c.t.Helper()
	root, err := OpenRoot(c.path)
	must(c.t, err)
	defer root.Close()
	c.index, err = NewIndex(root)
	must(c.t, err)
}

// resting are the folders of which the index says that nobody has to look into them.
func (c *container) resting() (folders []string) {
	c.t.Helper()
	root, err := OpenRoot(c.path)
	must(c.t, err)
	defer root.Close()
	must(c.t, root.walk(func(found *entry) error {
		if found.isDir() && c.index.rests(found) {
			folders = append(folders, found.path)
		}
		return nil
	}))
	return folders
}

// mustFindWhatAWalkFinds compares with what is found by an index that knows of no layers.
func (c *container) mustFindWhatAWalkFinds(all *Index) *changes {
	c.t.Helper()
	quick, whole := compared(c.t, c.index, c.path), compared(c.t, all, c.path)
	quick.state, whole.state = "", ""
	if !reflect.DeepEqual(quick, whole) {
		c.t.Errorf("%v was found, and by a walk %v", quick, whole)
	}
	for _, folder := range c.resting() {
		if _, err := os.Lstat(filepath.Join(c.changed, folder)); err == nil {
			c.t.Errorf("nobody looks into %q, which is in the upper folder", folder)
		}
	}
	return quick
}

// aged has what was made so far be older than what is made from then on.
func aged() { time.Sleep(time.Duration(2 * leeway)) }

func eachOverlay(t *testing.T, test func(t *testing.T, options string)) {
	t.Helper()
	for _, options := range overlaysHere(t) {
		// The name is in the paths of its folders, where a comma would end an option.
		t.Run(strings.ReplaceAll(options, ",", " "), func(t *testing.T) {
			t.Parallel()
			test(t, options)
		})
	}
}

func TestFromTheFirstStartNobodyLooksIntoFoldersThatAreALayersOwn(t *testing.T) {
	eachOverlay(t, func(t *testing.T, options string) {
		image := anImage(t)
		aged()
		first := firstOf(t, options, image)
		whole := first.resting()
		if !slices.Equal(whole, []string{"etc", "opt/tool", "opt", "usr/bin", "usr/lib", "usr"}) {
			t.Errorf("only into %v nobody looks", whole)
		}
		must(t, os.WriteFile(first.at("usr/bin/tool"), []byte("usr/bin/TOOL"), 0o755))
		if left := first.resting(); !slices.Equal(left, []string{"etc", "opt/tool", "opt", "usr/lib"}) {
			t.Errorf("after a change in usr/bin nobody looks into %v", left)
		}
		if found := first.mustFindWhatAWalkFinds(walkedAs(first)); len(found.changed) != 0 {
			t.Errorf("since then %v has changed", found.changed)
		}
	})
}

// walkedAs is an index by a walk of what there is now; the container's is made anew, too.
func walkedAs(c *container) *Index {
	c.indexed()
	return walked(c.t, c.path)
}

// Whatever happens in whatever overlay, before the guest begins and after: what is found is what a whole walk finds.
func TestWhateverHappensInAnOverlayItIsFoundFromTheFirstStart(t *testing.T) {
	eachOverlay(t, func(t *testing.T, options string) {
		rested, chance, images := 0, &chance{rand.New(rand.NewPCG(1, 7)), ""}, []string(nil)
		for range 5 {
			images = append(images, imagesOf(t, chance)...)
		}
		aged()
		for _, image := range images {
			first := firstOf(t, options, image)
			chance.root = first.path
			chance.happen(t, 3)
			all := walkedAs(first)
			rested += len(first.resting())
			time.Sleep(20 * time.Millisecond)
			for range 3 {
				chance.happen(t, 8)
				first.mustFindWhatAWalkFinds(all)
			}
		}
		if rested < 20 {
			t.Errorf("only %d times nobody looked into a folder", rested)
		}
	})
}

// Whoever does not wait for the sandbox writes into a folder between the look at it and at what is in it, and once more.
func TestWhatChangesDuringTheFirstLookIsFoundAfterIt(t *testing.T) {
	eachOverlay(t, func(t *testing.T, options string) {
		image := anImage(t)
		aged()
		first := firstOf(t, options, image)
		root, err := OpenRoot(first.path)
		must(t, err)
		defer root.Close()
		began := now()
		early := &surveyor[imaged]{root: root, add: func(to *imaged, found *entry) {
			to.add(found)
			if found.path == "usr/bin/tool" {
				must(t, os.WriteFile(first.at("usr/bin/other"), []byte("early"), 0o755))
				must(t, os.WriteFile(first.at("usr/lib/library"), []byte("early"), 0o755))
			}
		}}
		seen, err := early.survey()
		must(t, err)
		first.index = indexOf(seen)
		first.index.ground, first.index.layered = root.ground(), layeredBefore(root.birth(), began, now())
		if left := first.resting(); !slices.Equal(left, []string{"etc", "opt/tool", "opt"}) {
			t.Errorf("nobody looks into %v", left)
		}
		time.Sleep(20 * time.Millisecond)
		must(t, os.WriteFile(first.at("usr/lib/library"), []byte("later"), 0o755))

		found := compared(t, first.index, first.path)
		if !slices.ContainsFunc(found.changed, func(each change) bool { return each.path == "usr/lib/library" }) {
			t.Errorf("only %v was found", found.changed)
		}
	})
}

// No runtime has a layer that is younger than what was made on it; but then all is looked at, and all found.
func TestIntoALayerThatIsYoungerThanTheUpperFolderEverybodyLooks(t *testing.T) {
	eachOverlay(t, func(t *testing.T, options string) {
		old, upper := anImage(t), filepath.Join(t.TempDir(), "upper")
		aged()
		must(t, os.Mkdir(upper, 0o755))
		must(t, os.MkdirAll(filepath.Join(upper, "usr/lib"), 0o755))
		aged()
		young := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(young, "usr/bin"), 0o755))
		must(t, os.MkdirAll(filepath.Join(young, "srv"), 0o755))
		must(t, os.WriteFile(filepath.Join(young, "srv/file"), []byte("file"), 0o644))
		first := firstOn(t, options, young+":"+old, upper)
		if left := first.resting(); !slices.Equal(left, []string{"etc", "opt/tool", "opt"}) {
			t.Errorf("nobody looks into %v", left)
		}
		must(t, os.WriteFile(first.at("srv/file"), []byte("FILE"), 0o644))
		if found := compared(t, first.index, first.path); len(found.changed) == 0 {
			t.Error("nothing was found")
		}
	})
}

// Nor does any move what is older into the upper folder.
func TestIntoWhatWasMovedToTheUpperFolderEverybodyLooks(t *testing.T) {
	eachOverlay(t, func(t *testing.T, options string) {
		image, older := anImage(t), filepath.Join(t.TempDir(), "older")
		must(t, os.MkdirAll(filepath.Join(older, "deep/deeper"), 0o755))
		must(t, os.WriteFile(filepath.Join(older, "deep/deeper/file"), []byte("file"), 0o644))
		aged()
		upper := filepath.Join(t.TempDir(), "upper")
		must(t, os.Mkdir(upper, 0o755))
		must(t, os.Rename(older, filepath.Join(upper, "older")))
		first := firstOn(t, options, image, upper)
		all := walked(t, first.path)
		must(t, os.WriteFile(first.at("older/deep/deeper/file"), []byte("FILE"), 0o644))
		if found := first.mustFindWhatAWalkFinds(all); len(found.changed) == 0 {
			t.Error("nothing was found")
		}
	})
}

// With an index, an overlay changes all names of a file, and copies the folder of one of them.
func TestWhereAnythingHasAnotherNameEverybodyLooks(t *testing.T) {
	eachOverlay(t, func(t *testing.T, options string) {
		image := anImage(t)
		must(t, os.Symlink("tool", filepath.Join(image, "usr/bin/link")))
		must(t, os.Link(filepath.Join(image, "usr/bin/link"), filepath.Join(image, "opt/link")))
		must(t, os.Mkdir(filepath.Join(image, "var"), 0o755))
		must(t, unix.Mkfifo(filepath.Join(image, "var/pipe"), 0o600))
		must(t, os.Link(filepath.Join(image, "var/pipe"), filepath.Join(image, "opt/pipe")))
		must(t, os.Mkdir(filepath.Join(image, "srv"), 0o755))
		must(t, os.Link(filepath.Join(image, "usr/lib/library"), filepath.Join(image, "srv/library")))
		aged()
		first := firstOf(t, options, image)
		all := walked(t, first.path)
		must(t, unix.Chmod(first.at("opt/pipe"), 0o644))
		must(t, write(first.at("srv/library"), []byte("changed")))
		must(t, os.Lchown(first.at("opt/link"), os.Getuid(), os.Getgid()))
		if found := first.mustFindWhatAWalkFinds(all); len(found.changed) < 4 {
			t.Errorf("only %v was found", found.changed)
		}
	})
}

// Folders of one layer may be of one tick, and what is in them too: with the folder they are in, one takes another's place.
func TestAnotherFolderOfOneTickInTheSamePlaceIsLookedAt(t *testing.T) {
	eachOverlay(t, func(t *testing.T, options string) {
		image := twins(t)
		aged()
		first := firstOf(t, options, image)
		all := walked(t, first.path)
		for _, each := range [][2]string{{"one", "aside"}, {"other", "one"}, {"aside", "other"}} {
			if err := os.Rename(first.at(each[0]), first.at(each[1])); err != nil {
				t.Logf("no folder can be renamed: %v", err)
				return
			}
		}
		if left := first.resting(); !slices.Equal(left, []string{"etc", "usr/bin", "usr"}) {
			t.Errorf("nobody looks into %v", left)
		}
		if found := first.mustFindWhatAWalkFinds(all); len(found.deleted) != 2 {
			t.Errorf("%v is gone", found.deleted)
		}
	})
}

// twins is an image with two folders that have the same ctime in folders of their own.
func twins(t *testing.T) string {
	t.Helper()
	image := aFewFiles(t)
	for range 1000 {
		var times []int64
		for _, each := range []string{"one", "other"} {
			must(t, os.RemoveAll(filepath.Join(image, each)))
			must(t, os.MkdirAll(filepath.Join(image, each, "same"), 0o755))
		}
		for _, each := range []string{"one", "other"} {
			must(t, os.WriteFile(filepath.Join(image, each, "same", "file-of-"+each), nil, 0o644))
		}
		for _, each := range []string{"one", "other"} {
			var status unix.Stat_t
			must(t, unix.Lstat(filepath.Join(image, each, "same"), &status))
			times = append(times, status.Ctim.Nano())
		}
		if times[0] == times[1] {
			return image
		}
	}
	t.Fatal("no two folders are of one tick")
	return ""
}

func TestWhereTheClockCannotTellEverybodyLooks(t *testing.T) {
	second := int64(time.Second)
	began := moment{wall: 1000 * second, steady: 10 * second}
	later := moment{wall: 1001 * second, steady: 11 * second}
	for name, each := range map[string]struct {
		birth        int64
		began, ended moment
		want         int64
	}{
		"all is well":                          {900 * second, began, later, 900*second - leeway},
		"the clock was put forward":            {900 * second, began, moment{5000 * second, 11 * second}, 900*second - leeway},
		"it is a little behind":                {900 * second, began, moment{1001*second - leeway, 11 * second}, 900*second - leeway},
		"it was put back meanwhile":            {900 * second, began, moment{1000 * second, 11 * second}, 0},
		"it was put back before the root":      {900 * second, began, moment{800 * second, 11 * second}, 0},
		"it was put back since the root's":     {1000*second + 1, began, later, 0},
		"the file system does not tell births": {0, began, later, 0},
		"it tells any":                         {-900 * second, began, later, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := layeredBefore(each.birth, each.began, each.ended); got != each.want {
				t.Errorf("it is %d, not %d", got, each.want)
			}
		})
	}
}

func TestWithoutAnOverlayEverybodyLooks(t *testing.T) {
	image := anImage(t)
	aged()
	tree := newTree(t, image, t.TempDir(), 0)
	if tree.store.index.layered != 0 || len(tree.store.index.own()) != 0 {
		t.Errorf("it has layers before %d", tree.store.index.layered)
	}
}

// Some file systems have times before 1970.
func TestWhereNobodyKnowsTheLayersNoFolderIsOldEnough(t *testing.T) {
	seen := &stretch[imaged]{}
	folder := unix.Stat_t{Mode: unix.S_IFDIR, Ctim: unix.Timespec{Sec: -1 << 33}}
	seen.seen.add(&entry{path: "old", status: folder})
	if index := indexOf(seen); len(index.own()) != 0 {
		t.Errorf("%v are said to be a layer's own", index.own())
	}
}

func TestNothingIsLookedAtThatRests(t *testing.T) {
	eachOverlay(t, func(t *testing.T, options string) {
		image := anImage(t)
		for number := range 50 {
			folder := filepath.Join(image, "usr/share", fmt.Sprint(number))
			must(t, os.MkdirAll(folder, 0o755))
			must(t, os.WriteFile(filepath.Join(folder, "file"), nil, 0o644))
		}
		aged()
		first := firstOf(t, options, image)
		compared(t, first.index, first.path)
		seen := 0
		for _, each := range first.index.marks() {
			if each.round == first.index.round {
				seen++
			}
		}
		if seen != 5 {
			t.Errorf("%d of %d were looked at", seen, len(first.index.marks()))
		}
	})
}
