package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"sync"
)

// Index is what the root file system was at start: with it, changes are found afterwards.
//
// A change is told by another ctime, which no program can set, and never by a comparison with the clock, which may
// be stepped.
type Index struct {
	// marks are by path; they are made when they are first asked for, which most starts never do.
	marks func() map[string]*mark
	// image tells images apart, whatever their tags say: it changes with paths, types, owners, modes, sizes and times
	// of files, and with the targets of links. It does not see another content of the same size and time.
	image func() string
	round uint32
	// notes are what was seen, in the order of a walk, and ground is what it was seen on.
	notes  []string
	ground ground
	// brought are folders that are known from another container.
	brought *pathSet
	// layered is the ctime before which a folder was a layer's own; 0 where that is not known.
	layered int64
	// own are the layers' own folders with their inodes, made when they are first asked for.
	own func() map[string]uint64
	// kept says that a note of it lies on the volume.
	kept bool
}

type mark struct {
	ctime int64
	kind  uint32
	// round is the last comparison that found the path.
	round uint32
}

// NewIndex remembers the root file system as it is.
func NewIndex(root *Root) (*Index, error) { return newIndex(root, nil) }

// newIndex looks into no folder of which a former index tells all.
func newIndex(root *Root, before *former) (*Index, error) {
	began, looking := now(), &surveyor[imaged]{root: root, add: (*imaged).add}
	if before != nil {
		looking.known = before.bring
	}
	first, err := looking.survey()
	if err != nil {
		return nil, err
	}
	index := indexOf(first)
	if before != nil {
		index.brought = &before.brought
	}
	index.ground, index.kept = root.ground(), before != nil && !before.differs.Load()
	if root.layered {
		index.layered = layeredBefore(root.birth(), began, now())
	}
	if index.isToKeep() {
		index.doubt(root)
	}
	return index, nil
}

func indexOf(first *stretch[imaged]) *Index {
	index := &Index{brought: &pathSet{}}
	for each := range first.all() {
		index.notes = append(index.notes, string(each.notes))
	}
	index.marks = sync.OnceValue(index.remembered)
	index.own = sync.OnceValue(index.layersOwn)
	index.image = sync.OnceValue(index.fingerprint)
	return index
}

// remembered is by path what was noted. All paths of a stretch are in one piece of memory: there are many of them, and
// they stay.
func (i *Index) remembered() map[string]*mark {
	all, marks := make(map[string]*mark, 16<<10), []mark(nil)
	for _, text := range i.notes {
		notes := readNotes(text)
		for each, ok := notes.next(); ok; each, ok = notes.next() {
			if len(marks) == cap(marks) {
				marks = make([]mark, 0, marksAtOnce)
			}
			marks = append(marks, mark{ctime: each.ctime, kind: each.kind()})
			all[each.path] = &marks[len(marks)-1]
		}
	}
	return all
}

const marksAtOnce = 256

func (i *Index) fingerprint() string {
	image, buffer := sha256.New(), []byte(nil)
	for _, text := range i.notes {
		notes := readNotes(text)
		for each, ok := notes.next(); ok; each, ok = notes.next() {
			// Folders also hold what the runtime makes for mounts, which differs between pods of one image.
			if each.isImaged() {
				buffer = appendText(buffer[:0], each.path)
				buffer = appendNumbers(buffer, int64(each.mode), each.size, each.modified)
				buffer = appendNumbers(buffer, int64(each.uid), int64(each.gid))
				buffer = appendText(buffer, each.target)
				image.Write(buffer)
			}
		}
	}
	return hex.EncodeToString(image.Sum(nil))
}

// imaged is what is remembered of a stretch.
type imaged struct{ notes []byte }

func (i *imaged) add(found *entry) { i.notes = appendNote(i.notes, found) }

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
