package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"golang.org/x/sys/unix"
)

// Index is what the root file system was at start: with it, changes are found afterwards.
//
// A change is told by another ctime, which no program can set, and never by a comparison with the clock, which may
// be stepped.
type Index struct {
	marks map[string]*mark
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
	first, err := survey(root, (*imaged).add)
	if err != nil {
		return nil, err
	}
	return indexOf(first), nil
}

func indexOf(first *stretch[imaged]) *Index {
	marks, image := make(map[string]*mark, 16<<10), sha256.New()
	for each := range first.all() {
		for at := range each.marked {
			marks[each.marked[at].path] = &each.marked[at].mark
		}
		image.Write(each.image)
	}
	return &Index{marks: marks, image: hex.EncodeToString(image.Sum(nil))}
}

// imaged is what is remembered of a stretch.
type imaged struct {
	marked []marked
	// image is what tells the image apart.
	image []byte
}

type marked struct {
	path string
	mark mark
}

func (i *imaged) add(found *entry) {
	status := &found.status
	i.marked = append(i.marked, marked{found.path, mark{ctime: found.ctime(), kind: found.kind()}})
	// Folders also hold what the runtime makes for mounts, which differs between pods of one image.
	if found.isFile() || found.kind() == unix.S_IFLNK {
		i.image = appendText(i.image, found.path)
		i.image = appendNumbers(i.image, int64(status.Mode), status.Size, status.Mtim.Sec)
		i.image = appendNumbers(i.image, int64(status.Uid), int64(status.Gid))
		i.image = appendText(i.image, found.target())
	}
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
