package pack

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// note is what an index remembers of a path.
//
// Written, notes are as short as they can be: a sandbox has those of its image for as long as it runs.
type note struct {
	path  string
	mode  uint32
	ctime int64
	// Of a folder.
	inode uint64
	// Of what tells the image apart.
	size, modified int64
	uid, gid       uint32
	target         string
	// linked says that a file or a link has other names.
	linked bool
}

func (r *note) kind() uint32 { return r.mode & unix.S_IFMT }

func (r *note) isDir() bool { return r.kind() == unix.S_IFDIR }

// isImaged says whether it is something that tells images apart.
func (r *note) isImaged() bool { return r.kind() == unix.S_IFREG || r.kind() == unix.S_IFLNK }

// isOf says whether a folder is the one that was noted, and as it was.
func (r *note) isOf(folder *entry) bool {
	return r.mode == folder.status.Mode && r.ctime == folder.ctime() && r.inode == folder.inode()
}

func appendNote(to []byte, found *entry) []byte {
	status := &found.status
	to = appendWord(to, found.path)
	to = binary.AppendUvarint(to, uint64(status.Mode))
	to = binary.AppendVarint(to, found.ctime())
	if found.isDir() {
		to = binary.AppendUvarint(to, found.inode())
	}
	if found.isFile() || found.kind() == unix.S_IFLNK {
		to = binary.AppendVarint(to, status.Size)
		to = binary.AppendVarint(to, status.Mtim.Sec)
		to = binary.AppendUvarint(to, uint64(status.Uid))
		to = binary.AppendUvarint(to, uint64(status.Gid))
		to = appendWord(to, found.target())
		to = append(to, numberOf(status.Nlink > 1))
	}
	return to
}

func numberOf(yes bool) byte {
	if yes {
		return 1
	}
	return 0
}

func appendWord(to []byte, word string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(word))), word...)
}

// notes reads what was written; what makes no sense ends it, and is bad then.
type notes struct {
	text string
	at   int
	bad  bool
}

func readNotes(text string) *notes { return &notes{text: text} }

// next returns the next note; there is none at the end and where one makes no sense.
func (r *notes) next() (note, bool) {
	if r.at == len(r.text) {
		return note{}, false
	}
	next := note{path: r.word(), mode: uint32(r.unsigned()), ctime: r.signed()}
	if next.isDir() {
		next.inode = r.unsigned()
	}
	if next.isImaged() {
		next.size, next.modified = r.signed(), r.signed()
		next.uid, next.gid = uint32(r.unsigned()), uint32(r.unsigned())
		next.target = r.word()
		next.linked = r.unsigned() != 0
	}
	return next, !r.bad
}

func (r *notes) word() string {
	size := r.unsigned()
	if size > uint64(len(r.text)-r.at) {
		r.bad = true
		return ""
	}
	r.at += int(size)
	return r.text[r.at-int(size) : r.at]
}

func (r *notes) signed() int64 {
	value := r.unsigned()
	return int64(value>>1) ^ -int64(value&1)
}

func (r *notes) unsigned() (value uint64) {
	for shift := 0; shift < 64 && r.at < len(r.text); shift += 7 {
		next := r.text[r.at]
		r.at++
		value |= uint64(next&0x7f) << shift
		if next < 0x80 {
			return value
		}
	}
	r.bad = true
	return 0
}
