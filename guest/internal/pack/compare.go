package pack

import (
	"os"
	"path"
	"slices"
	"strings"
)

// changes is the difference between an index and the root file system now.
type changes struct {
	deleted []string
	changed []change
	bytes   int64
	// foreign is something that changed and that we, without root, could not make again.
	foreign string
	// whiteouts are those of overlays inside, which can't be made again; whiteout is the first.
	whiteouts int
	whiteout  string
	// state changes with everything that happens to what changed.
	state string
}

func (c *changes) sawWhiteout(path string) {
	if c.whiteouts++; c.whiteouts == 1 {
		c.whiteout = path
	}
}

type change struct {
	path string
	size int64
	// replaces says that the image has something there, too.
	replaces bool
}

// compare finds what changed since the index was made.
func (i *Index) compare(root *Root) (*changes, error) { return i.compareIn(nil, root) }

// compareIn looks only into folders of which it is known that nothing changed in any other, for each with all that it is
// in; nil where that is not known.
func (i *Index) compareIn(folders map[string]bool, root *Root) (*changes, error) {
	i.round++
	left := &pathSet{}
	looking := &surveyor[sifted]{root: root, add: i.sift, known: func(_ *sifted, found *entry) bool {
		leave := folders != nil && !folders[found.path] || i.rests(found)
		if leave {
			left.add(found.path)
		}
		return leave
	}}
	first, err := looking.survey()
	if err != nil {
		return nil, err
	}
	found := newComparison(i)
	for each := range first.all() {
		for at := range *each {
			found.add(&(*each)[at])
		}
	}
	return found.concluded(left, root), nil
}

// sifted is what may have changed on a stretch.
type sifted []candidate

// candidate is something that is not as it was, or a folder, which what is unpacked into it changes.
type candidate struct {
	entry
	same bool
}

// sift adds what may have changed. Several goroutines may do so at once, as long as each sees other paths.
func (i *Index) sift(to *sifted, now *entry) {
	if same := i.same(now); !same || now.isDir() {
		*to = append(*to, candidate{*now, same})
	}
}

// same says whether something is as it was, and notes that it is there.
func (i *Index) same(now *entry) bool {
	before, known := i.marks()[now.path]
	if !known || before.kind != now.kind() {
		return false
	}
	before.round = i.round
	return before.ctime == now.ctime()
}

// foreign says whether something belongs to another user; what lies in a folder of the image changes that one's times
// alone.
func (i *Index) foreign(now *entry) bool {
	user := os.Geteuid()
	before, known := i.marks()[now.path]
	return user != 0 && int(now.status.Uid) != user && !(known && now.isDir() && before.kind == now.kind())
}

// missing returns what the last comparison did not find, or found as something else, but in folders that were left out;
// children before their folders.
func (i *Index) missing(left *pathSet, root *Root) []string {
	var paths []string
	for name, before := range i.marks() {
		// What somebody mounted something over since then is still there.
		if before.round != i.round && !left.holds(folderOf(name)) && !root.leftOut(name) {
			paths = append(paths, name)
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return strings.Compare(b, a) })
	return paths
}

// comparison gathers changes, in the order of a walk.
type comparison struct {
	index   *Index
	changes *changes
	state   *sum
	// counted are files of several names whose size was added.
	counted map[uint64]bool
	// touched are folders with something in them that changed.
	touched map[string]bool
}

func newComparison(index *Index) *comparison {
	return &comparison{
		index: index, changes: &changes{}, state: newSum(), counted: map[uint64]bool{}, touched: map[string]bool{},
	}
}

func (c *comparison) add(now *candidate) {
	// What is unpacked into a folder changes its time; so its own entry, which comes after, has to be there.
	if now.same && !c.touched[now.path] || !now.packed() {
		if !now.same && now.isWhiteout() {
			c.changes.sawWhiteout(now.path)
		}
		return
	}
	if !now.same {
		c.touched[path.Dir(now.path)] = true
	}
	_, known := c.index.marks()[now.path]
	next := change{path: now.path, replaces: known}
	if now.isFile() && !c.counted[now.inode()] {
		next.size = min(now.status.Size, now.status.Blocks*512)
		if now.linked() {
			c.counted[now.inode()] = true
		}
	}
	if c.index.foreign(&now.entry) {
		c.changes.foreign = now.path
	}
	c.changes.changed = append(c.changes.changed, next)
	c.changes.bytes += next.size
	c.state.text(now.path)
	c.state.numbers(now.ctime(), int64(now.inode()))
}

// concluded is the difference, once the whole root was compared.
func (c *comparison) concluded(left *pathSet, root *Root) *changes {
	c.changes.deleted = c.index.missing(left, root)
	for _, name := range c.changes.deleted {
		c.state.text(name)
	}
	c.changes.state = c.state.hex()
	return c.changes
}
