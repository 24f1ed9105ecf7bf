package pack

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

const (
	indexFile       = "index"
	indexUnfinished = "index.unfinished"
	// So much memory a note may take; beyond, there is none.
	longestIndex = 64 << 20
)

// former is an index that another container had at its start, on the same node since that has booted.
//
// A folder that is the same and as it was then is of the same layer of the same image, and so is all that is in it: a layer
// has whatever folder something of it is in, lies on the same layers in every image, and is never changed. The same is said
// by the inode and its ctime, and not for folders in which the runtime makes something before a container begins: where
// that was or is, both containers' mounts tell.
type former struct {
	text    string
	folders map[string]inside
	touched map[string]bool
	// differs says that there is a folder of which it does not tell all.
	differs atomic.Bool
	// brought are the folders of which it told all.
	brought pathSet
}

// inside is where the notes of all that is in a folder lie.
type inside struct {
	begin, end int
	folder     note
}

// Recall is NewIndex, but looks into no folder of the root file system that is as an index has it which was kept in a
// folder. Whoever may write there decides by that what later packs have.
func Recall(folder string, root *Root) (*Index, error) {
	return newIndex(root, recalled(folder, root.ground()))
}

// recalled reads what is kept; whatever is the matter with it, there is nothing then.
func recalled(folder string, on ground) *former {
	if on.view == "" {
		return nil
	}
	source, err := os.OpenFile(filepath.Join(folder, indexFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer source.Close()
	status, err := source.Stat()
	if err != nil || !status.Mode().IsRegular() || status.Size() > longestIndex {
		return nil
	}
	content := make([]byte, status.Size())
	if _, err := io.ReadFull(source, content); err != nil {
		return nil
	}
	reader, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(longestIndex))
	if err != nil {
		return nil
	}
	defer reader.Close()
	plain, err := reader.DecodeAll(content, nil)
	if err != nil {
		return nil
	}
	return formerOf(string(plain), on)
}

// formerOf makes sense of what was kept; nil where it has none, or belongs to another ground.
func formerOf(text string, on ground) *former {
	head := readNotes(text)
	if head.word() != on.view {
		return nil
	}
	before := &former{folders: map[string]inside{}, touched: on.touched}
	for count := head.unsigned(); count > 0 && !head.bad; count-- {
		before.touched[head.word()] = true
	}
	before.text = text[head.at:]
	if head.bad || !before.findFolders() {
		return nil
	}
	return before
}

// findFolders notes where what is in each folder lies, and tells whether all makes sense.
func (f *former) findFolders() bool {
	begins, notes := map[string]int{}, readNotes(f.text)
	for {
		begin := notes.at
		next, ok := notes.next()
		if !ok {
			return !notes.bad
		}
		if next.isDir() {
			// In a walk, a folder comes right after what is in it.
			first, filled := begins[next.path]
			if !filled {
				first = begin
			}
			f.folders[next.path] = inside{begin: first, end: begin, folder: next}
			begin = first
		}
		folder := folderOf(next.path)
		if _, known := begins[folder]; !known {
			begins[folder] = begin
		}
	}
}

// bring adds what is in a folder, unless that may be something else than it was.
func (f *former) bring(to *imaged, found *entry) bool {
	if f.touched[found.path] {
		return false
	}
	known, ok := f.folders[found.path]
	if !ok || !known.folder.isOf(found) {
		f.differs.Store(true)
		return false
	}
	f.brought.add(found.path)
	to.notes = append(to.notes, f.text[known.begin:known.end]...)
	return true
}

// isToKeep says whether another container may make use of the index, and none has kept the same.
func (i *Index) isToKeep() bool { return !i.kept && i.ground.view != "" }

// doubt has nobody rely on a folder in which something was changed while the index was made, by whoever did not wait for
// the sandbox: what is changed in a folder of a layer makes another folder of it, and of those that it is in.
func (i *Index) doubt(root *Root) {
	for _, text := range i.notes {
		notes := readNotes(text)
		for each, ok := notes.next(); ok; each, ok = notes.next() {
			var now entry
			if each.isDir() && (unix.Fstatat(root.fd, each.path, &now.status, unix.AT_SYMLINK_NOFOLLOW) != nil || !each.isOf(&now)) {
				i.ground.touched[each.path] = true
			}
		}
	}
}

// keep has the folder hold a note of the index, for others on the node; without one, they look at all again.
//
// Whether it is whole is found out by who reads it.
func (i *Index) keep(folder string) error {
	if !i.isToKeep() {
		return nil
	}
	i.kept = true
	plain := i.written()
	if len(plain) > longestIndex {
		return nil
	}
	writer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer writer.Close()
	temporary, final := filepath.Join(folder, indexUnfinished), filepath.Join(folder, indexFile)
	err = errors.Join(os.RemoveAll(temporary), os.RemoveAll(final))
	if err == nil {
		err = os.WriteFile(temporary, writer.EncodeAll(plain, nil), 0o600)
	}
	if err == nil {
		err = os.Rename(temporary, final)
	}
	if err != nil {
		os.Remove(temporary)
	}
	return err
}

func (i *Index) written() []byte {
	plain := appendWord(nil, i.ground.view)
	plain = binary.AppendUvarint(plain, uint64(len(i.ground.touched)))
	for folder := range i.ground.touched {
		plain = appendWord(plain, folder)
	}
	for _, text := range i.notes {
		plain = append(plain, text...)
	}
	return plain
}
