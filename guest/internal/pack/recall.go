package pack

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

const (
	indexFile       = "index"
	indexUnfinished = "index.unfinished"
	// So much memory a note may take; beyond, there is none.
	longestIndex = 64 << 20
)

// former is an index that another container on the same ground had at its start: one of this image, on this node.
//
// Nothing differs from it but what the runtime makes before a container begins, which lies in folders that either
// container's mounts tell. So only those are looked into, and any folder that is not as it was.
type former struct {
	text    string
	folders map[string]inside
	touched map[string]bool
}

// inside is where the notes of all that is in a folder lie.
type inside struct {
	begin, end int
	mode       uint32
	ctime      int64
}

// Recall is NewIndex, which in a root file system on the same layers need not look at all again, but takes what an index
// had that was kept in a folder. Whoever may write there decides by that what later packs have.
func Recall(folder string, root *Root) (*Index, error) {
	return newIndex(root, recalled(folder, root.ground()))
}

// recalled reads what is kept; whatever is the matter with it, there is nothing then.
func recalled(folder string, on ground) *former {
	if on.layers == "" {
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
	if head.word() != on.layers {
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
		if next.kind() == unix.S_IFDIR {
			// In a walk, a folder comes right after what is in it.
			first, filled := begins[next.path]
			if !filled {
				first = begin
			}
			f.folders[next.path] = inside{begin: first, end: begin, mode: next.mode, ctime: next.ctime}
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
	known, ok := f.folders[found.path]
	if !ok || f.touched[found.path] || known.ctime != found.ctime() || known.mode != found.status.Mode {
		return false
	}
	to.notes = append(to.notes, f.text[known.begin:known.end]...)
	return true
}

// keep has the folder hold a note of the index, for others on the same ground; without one, they look at all again. It
// is found out when it is read whether it is whole.
func (i *Index) keep(folder string) error {
	if i.kept || i.ground.layers == "" {
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
	plain := appendWord(nil, i.ground.layers)
	plain = binary.AppendUvarint(plain, uint64(len(i.ground.touched)))
	for folder := range i.ground.touched {
		plain = appendWord(plain, folder)
	}
	for _, text := range i.notes {
		plain = append(plain, text...)
	}
	return plain
}
