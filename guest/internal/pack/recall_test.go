package pack

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// overlaid mounts an image, which is a path or several of layers, the uppermost first, with a folder for what is changed.
func overlaid(t *testing.T, image, changed string) string {
	t.Helper()
	return overlaidWith(t, "userxattr", image, changed)
}

func overlaidWith(t *testing.T, more, image, changed string) string {
	t.Helper()
	place, err := os.MkdirTemp(filepath.Dir(changed), "overlay-")
	must(t, err)
	for _, each := range []string{"root", "work"} {
		must(t, os.Mkdir(filepath.Join(place, each), 0o755))
	}
	root, options := filepath.Join(place, "root"), "lowerdir=%s,upperdir=%s,workdir=%s/work,%s"
	must(t, unix.Mount("overlay", root, "overlay", 0, fmt.Sprintf(options, image, changed, place, more)))
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	return root
}

// containerOf gives the root file system of a new container of an image on this node, as a runtime makes it: with something
// mounted at places that it makes first. Its guest recalls what there is in the folder.
func containerOf(t *testing.T, image, folder string, mounted ...string) *tree {
	t.Helper()
	volume := t.TempDir()
	tree := &tree{t: t, path: overlaid(t, image, t.TempDir())}
	for _, each := range mounted {
		if os.MkdirAll(tree.at(each), 0o755) == nil {
			must(t, unix.Mount(volume, tree.at(each), "", unix.MS_BIND, ""))
		}
	}
	root, err := OpenRoot(tree.path)
	must(t, err)
	defer root.Close()
	index, err := Recall(folder, root)
	must(t, err)
	tree.store, err = OpenStore(folder, tree.path, index, 0, t.Logf)
	must(t, err)
	return tree
}

// mustHaveWhatAWalkFinds also returns whether what the index has was recalled.
func mustHaveWhatAWalkFinds(t *testing.T, tree *tree) bool {
	t.Helper()
	index, alone := tree.store.index, walked(t, tree.path)
	if !maps.EqualFunc(index.marks(), alone.marks(), func(a, b *mark) bool { return a.ctime == b.ctime && a.kind == b.kind }) {
		t.Errorf("of %d paths %d are known, or not alike", len(alone.marks()), len(index.marks()))
	}
	if index.image() != alone.image() {
		t.Errorf("the image is %s, and by a walk %s", index.image(), alone.image())
	}
	return index.kept
}

// Whatever images have, and whatever is mounted where: what is recalled is what a walk would find.
func TestTheNextContainerOfANodeRecallsWhatAWalkWouldFind(t *testing.T) {
	if !withMounts(t) {
		return
	}
	recalls := 0
	for seed := range uint64(40) {
		chance, folder := &chance{rand.New(rand.NewPCG(seed, 6)), ""}, t.TempDir()
		images := imagesOf(t, chance)
		somewhere := func() (places []string) {
			chance.root = "/"
			for range chance.IntN(4) {
				places = append(places, chance.path()[1:])
			}
			return places
		}
		for range 6 {
			next := containerOf(t, images[chance.IntN(len(images))], folder, somewhere()...)
			if mustHaveWhatAWalkFinds(t, next) {
				recalls++
			}
			alone := walked(t, next.path)
			time.Sleep(20 * time.Millisecond)
			chance.root = next.path
			chance.happen(t, 30)
			mine, theirs := compared(t, next.store.index, next.path), compared(t, alone, next.path)
			// An overlay gives a file another inode once nobody has it in memory.
			mine.state, theirs.state = "", ""
			if !reflect.DeepEqual(mine, theirs) {
				t.Errorf("%v was found, and by a walk %v", mine, theirs)
			}
			_, _ = next.store.Pack("")
		}
	}
	if recalls < 20 {
		t.Errorf("only %d recalled all", recalls)
	}
}

// imagesOf gives images that have layers in common: each is another one's upper layers on the same lowest.
func imagesOf(t *testing.T, chance *chance) (images []string) {
	t.Helper()
	lowest := t.TempDir()
	chance.root = lowest
	chance.happen(t, 150)
	images = append(images, lowest)
	for number := range 3 {
		layer := t.TempDir()
		chance.root = overlaid(t, images[number/2], layer)
		chance.happen(t, 10)
		must(t, unix.Unmount(chance.root, unix.MNT_DETACH))
		images = append(images, layer+":"+images[number/2])
	}
	return images
}

// anImage is one with folders that nobody touches.
func anImage(t *testing.T) string {
	t.Helper()
	image := aFewFiles(t)
	for _, each := range []string{"usr/bin/tool", "usr/lib/library", "opt/tool/file"} {
		must(t, os.MkdirAll(filepath.Join(image, filepath.Dir(each)), 0o755))
		must(t, os.WriteFile(filepath.Join(image, each), []byte(each), 0o755))
	}
	return image
}

func TestByWhatIsRecalledEveryChangeIsFound(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := anImage(t), t.TempDir()
	if result := containerOf(t, image, folder, "etc/secret", "mnt/data").pack(); result.Entries != 0 {
		t.Errorf("%d entries were packed of nothing", result.Entries)
	}

	second := containerOf(t, image, folder, "etc/secret", "mnt/data")
	if result := second.pack(); result.Entries != 0 {
		t.Errorf("what the runtime makes was packed as %d changes", result.Entries)
	}
	must(t, os.Remove(second.at("usr/lib/library")))
	must(t, os.RemoveAll(second.at("opt/tool")))
	must(t, os.WriteFile(second.at("usr/bin/tool"), []byte("changed"), 0o755))
	second.write("usr/bin/new", "new")
	must(t, os.Chmod(second.at("etc/passwd"), 0o600))
	result := second.pack()

	third := containerOf(t, image, folder, "etc/secret", "mnt/data")
	third.unpack()
	mine, theirs := second.facts(), third.facts()
	for _, made := range []string{"mnt", "mnt/data", "etc/secret"} {
		delete(mine, made)
		delete(theirs, made)
	}
	if !maps.Equal(mine, theirs) {
		t.Errorf("what was %v became %v", mine, theirs)
	}
	if !third.store.index.kept {
		t.Error("nothing was recalled")
	}
	if again := third.pack(); again != result {
		t.Errorf("though nothing had changed since, %v was packed and not %v", again, result)
	}
}

// Nobody waits for the sandbox to be ready, and writes between the look at a folder and at what is in it.
func TestWhatChangesDuringTheLookIsNotRecalled(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := anImage(t), t.TempDir()
	first := containerOf(t, image, t.TempDir())
	root, err := OpenRoot(first.path)
	must(t, err)
	defer root.Close()
	early := &surveyor[imaged]{root: root, add: func(to *imaged, found *entry) {
		to.add(found)
		if found.path == "usr/bin/tool" {
			must(t, os.WriteFile(first.at("usr/lib/library"), []byte("early"), 0o755))
		}
	}}
	seen, err := early.survey()
	must(t, err)
	index := indexOf(seen)
	index.ground = root.ground()
	index.doubt(root)
	must(t, index.keep(folder))

	next := containerOf(t, image, folder)
	mustHaveWhatAWalkFinds(t, next)
	if recalled(folder, next.store.index.ground) == nil {
		t.Error("nothing was kept")
	}
}

func TestOnOtherLayersNothingIsRecalled(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := anImage(t), t.TempDir()
	containerOf(t, image, folder).pack()

	if mustHaveWhatAWalkFinds(t, containerOf(t, anImage(t), folder)) {
		t.Error("something was recalled of another image")
	}
	elsewhere := containerOf(t, image, folder).store.index.ground
	elsewhere.view = strings.Replace(elsewhere.view, "Uid:", "Uid: another", 1)
	if recalled(folder, elsewhere) != nil {
		t.Error("something was recalled of what somebody else could see")
	}
	if recalled(folder, ground{}) != nil {
		t.Error("something was recalled where nobody knows the layers")
	}
}

// No runtime changes layers in use. But where one began anew, others may lie in their place.
func TestOfOtherFilesInThePlaceOfLayersNothingIsRecalled(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := anImage(t), t.TempDir()
	containerOf(t, image, folder).pack()
	must(t, os.RemoveAll(image))
	must(t, os.Rename(anImage(t), image))
	must(t, os.Remove(filepath.Join(image, "usr/lib/library")))

	mustHaveWhatAWalkFinds(t, containerOf(t, image, folder))
}

func TestWhateverLiesInThePlaceOfAnIndexHindersNothing(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := anImage(t), t.TempDir()
	containerOf(t, image, folder).pack()
	kept := filepath.Join(folder, indexFile)
	whole, err := os.ReadFile(kept)
	must(t, err)
	content := func(content []byte) func() error {
		return func() error { return os.WriteFile(kept, content, 0o600) }
	}
	for name, put := range map[string]func() error{
		"nothing":     func() error { return nil },
		"no content":  content(nil),
		"half of it":  content(whole[:len(whole)/2]),
		"other bytes": content(append(whole[:len(whole)-5:len(whole)-5], "xxxxx"...)),
		"a pipe":      func() error { return unix.Mkfifo(kept, 0o600) },
		"a folder":    func() error { return os.MkdirAll(filepath.Join(kept, "inside"), 0o700) },
		"a link":      func() error { return os.Symlink("/dev/zero", kept) },
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.RemoveAll(kept))
			must(t, put())
			tree := containerOf(t, image, folder)
			if mustHaveWhatAWalkFinds(t, tree) {
				t.Error("something was recalled")
			}
			tree.pack()
			if again, err := os.ReadFile(kept); err != nil || len(again) == 0 {
				t.Errorf("afterwards there is no whole one: %v", err)
			}
			if next := containerOf(t, image, folder); !mustHaveWhatAWalkFinds(t, next) {
				t.Error("the next one recalled nothing")
			}
		})
	}
}

func TestNotesThatMakeNoSenseAreNone(t *testing.T) {
	if !withMounts(t) {
		return
	}
	index := containerOf(t, anImage(t), t.TempDir()).store.index
	whole := string(index.written())
	if formerOf(whole, index.ground) == nil {
		t.Fatal("what was written is not understood")
	}
	chance := rand.New(rand.NewPCG(3, 6))
	for size := range len(whole) {
		if before := formerOf(whole[:size], index.ground); before != nil && len(before.text) >= len(whole) {
			t.Errorf("%d bytes make sense", size)
		}
		wrong := []byte(whole)
		wrong[chance.IntN(len(wrong))] = byte(chance.IntN(256))
		formerOf(string(wrong), index.ground)
	}
}

func TestWhereAPackIsNotTrustedNorIsTheIndex(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := anImage(t), t.TempDir()
	tree := containerOf(t, image, folder)
	tree.pack()
	must(t, tree.store.SetAside())
	if mustHaveWhatAWalkFinds(t, containerOf(t, image, folder)) {
		t.Error("the index was recalled")
	}
}

func TestAVolumeWithoutRoomForAnIndexHindersNothing(t *testing.T) {
	if !withMounts(t) {
		return
	}
	image, folder := anImage(t), smallDisk(t)
	must(t, os.WriteFile(filepath.Join(folder, "filler"), []byte(noise(1<<20-20<<10)), 0o600))
	for number := range 400 {
		must(t, os.WriteFile(filepath.Join(image, "opt", noiseName(number)), nil, 0o600))
	}
	tree := containerOf(t, image, folder)
	tree.pack()
	if left, _ := os.ReadDir(folder); len(left) != 1 {
		t.Errorf("%v is left", left)
	}
}

func noiseName(number int) string { return fmt.Sprintf("%d-%x", number, noise(60)) }
