package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"os"
	"path"
	"slices"
	"strings"
)

// Index is what the root file system was at start: with it, changes are found afterwards.
//
// A change is told by another ctime, which no program can set, and never by a comparison with the clock, which may
// be stepped.
type Index struct {
	marks map[string]mark
	// image tells images apart, whatever their tags say: it changes with paths, types, owners, modes, sizes and times
	// of files, and with the targets of links. It does not see another content of the same size and time.
	image string
	round uint32
}

type mark struct {
	ctime int64
	kind  uint32
	// round is the last comparison that found the path.
	round uint32
}

// NewIndex remembers the root file system as it is.
func NewIndex(root *Root) (*Index, error) {
	first, err := survey(root)
	if err != nil {
		return nil, err
	}
	return indexOf(first), nil
}

func indexOf(first *stretch) *Index {
	marks, image := make(map[string]mark, 16<<10), sha256.New()
	for each := first; each != nil; each = each.next {
		for _, found := range each.marked {
			marks[found.path] = found.mark
		}
		image.Write(each.image)
	}
	return &Index{marks: marks, image: hex.EncodeToString(image.Sum(nil))}
}

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
func (i *Index) compare(root *Root) (*changes, error) {
	i.round++
	found, state, counted, touched := &changes{}, newSum(), map[uint64]bool{}, map[string]bool{}
	err := root.walk(func(now *entry) error {
		same := i.same(now)
		// What is unpacked into a folder changes its time; so its own entry, which comes after, has to be there.
		if same && !touched[now.path] || !now.packed() {
			if !same && now.isWhiteout() {
				found.sawWhiteout(now.path)
			}
			return nil
		}
		if !same {
			touched[path.Dir(now.path)] = true
		}
		_, known := i.marks[now.path]
		next := change{path: now.path, replaces: known}
		if now.isFile() && !counted[now.inode()] {
			next.size = min(now.status.Size, now.status.Blocks*512)
			if now.linked() {
				counted[now.inode()] = true
			}
		}
		if i.foreign(now) {
			found.foreign = now.path
		}
		found.changed = append(found.changed, next)
		found.bytes += next.size
		state.text(now.path)
		state.numbers(now.ctime(), int64(now.inode()))
		return nil
	})
	found.deleted = i.missing(root)
	for _, name := range found.deleted {
		state.text(name)
	}
	found.state = state.hex()
	return found, err
}

// same says whether something is as it was, and notes that it is there.
func (i *Index) same(now *entry) bool {
	before, known := i.marks[now.path]
	if !known || before.kind != now.kind() {
		return false
	}
	same := before.ctime == now.ctime()
	before.round = i.round
	i.marks[now.path] = before
	return same
}

// foreign says whether something belongs to another user; what lies in a folder of the image changes that one's times
// alone.
func (i *Index) foreign(now *entry) bool {
	user := os.Geteuid()
	before, known := i.marks[now.path]
	return user != 0 && int(now.status.Uid) != user && !(known && now.isDir() && before.kind == now.kind())
}

// missing returns what the last comparison did not find, or found as something else; children before their folders.
func (i *Index) missing(root *Root) []string {
	var paths []string
	for name, before := range i.marks {
		// What somebody mounted something over since then is still there.
		if before.round != i.round && !root.leftOut(name) {
			paths = append(paths, name)
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return strings.Compare(b, a) })
	return paths
}

// sum is a hash over texts and numbers.
type sum struct {
	hash   hash.Hash
	buffer []byte
}

func newSum() *sum { return &sum{hash: sha256.New()} }

func (s *sum) text(word string) {
	s.buffer = appendText(s.buffer[:0], word)
	s.hash.Write(s.buffer)
}

func (s *sum) numbers(values ...int64) {
	s.buffer = appendNumbers(s.buffer[:0], values...)
	s.hash.Write(s.buffer)
}

func (s *sum) hex() string { return hex.EncodeToString(s.hash.Sum(nil)) }

func appendText(to []byte, word string) []byte {
	return append(appendNumbers(to, int64(len(word))), word...)
}

func appendNumbers(to []byte, values ...int64) []byte {
	for _, value := range values {
		to = binary.LittleEndian.AppendUint64(to, uint64(value))
	}
	return to
}
