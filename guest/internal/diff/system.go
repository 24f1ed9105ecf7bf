package diff

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"golang.org/x/sys/unix"

	"sandkeeper.dev/guest/internal/pack"
)

const (
	// So much memory what is known of one pack may take.
	mostOfPack = 64 << 20
	itemCosts  = 160
)

var errTooLarge = errors.New("its pack has more than fits into memory")

// packed is what a pack says of a path: of two with the same, nothing differs.
type packed struct {
	thing
	deleted bool
	// replaces says that the image has something there, too.
	replaces bool
	sum      [sha256.Size]byte
}

// system is all that changed in a root file system.
type system struct {
	items    map[string]packed
	packages *found
	left     int
}

// system compares the packs of two volumes; a volume without one has a root file system as the image has it.
func (r *report) system(old, now *volume) {
	before, err := readSystem(old, mostOfPack)
	if err != nil {
		r.unread(old.path+"/system/pack", err)
		return
	}
	after, err := readSystem(now, mostOfPack)
	if err != nil {
		r.unread(now.path+"/system/pack", err)
		return
	}
	r.summary.System = &Counts{}
	for change := range withoutWays(before.changesTo(after)) {
		r.change(change.Change, r.summary.System)
	}
	r.summary.Packages = before.packages.changesTo(after.packages)
}

func readSystem(from *volume, most int) (*system, error) {
	s := &system{items: map[string]packed{}, packages: newFound(), left: most}
	source, err := openFile(from.root, "system", "pack")
	if err == unix.ENOENT {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	defer source.Close()
	return s, pack.Visit(source, s.visit)
}

func (s *system) visit(item pack.Item, content io.Reader) error {
	if s.left -= len(item.Path) + itemCosts; s.left < 0 {
		return errTooLarge
	}
	seen := packed{thing: thing{mode: item.Mode, size: item.Size}, deleted: item.Deleted, replaces: item.Replaces}
	first, linked := s.items[item.Target]
	if linked && !item.Deleted && item.Mode == 0 {
		// Another name of a file that came before; in another pack it may be the first.
		seen = first
		seen.replaces = item.Replaces
		s.left -= s.packages.see(item, content)
	} else {
		var err error
		if seen.sum, err = s.sum(item, content); err != nil {
			return err
		}
	}
	if item.Mode&unix.S_IFMT == unix.S_IFLNK {
		seen.size = int64(len(item.Target))
	}
	s.items[item.Path] = seen
	return nil
}

// sum stands for all that a pack says of a path but its time; what reads packages reads along.
func (s *system) sum(item pack.Item, content io.Reader) (sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	head := binary.LittleEndian.AppendUint32(nil, item.Mode)
	fmt.Fprintf(hash, "%s%d:%d:%q:%q:", head, item.UID, item.GID, item.Target, item.Holes)
	both := io.TeeReader(content, hash)
	s.left -= s.packages.see(item, both)
	if _, err := io.Copy(io.Discard, both); err != nil {
		return sum, fmt.Errorf("%q: %w", "/"+item.Path, err)
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}

// onWay is a change that may only be there for what is in a folder of the image.
type onWay struct {
	Change
	isWay bool
}

// changesTo is made one by one: there may be as many as both packs have together.
func (s *system) changesTo(now *system) iter.Seq[onWay] {
	return func(yield func(onWay) bool) {
		for _, path := range inOrder(s.items, now.items) {
			old, known := s.items[path]
			new, there := now.items[path]
			if known && there && old == new {
				continue
			}
			if !yield(changeOf("system/"+path, old, new, known, there)) {
				return
			}
		}
	}
}

func changeOf(path string, old, new packed, known, there bool) onWay {
	change := onWay{Change: between(path, old.present(known), new.present(there))}
	switch {
	case old.onlyOne(known, there) || new.onlyOne(there, known):
		// What the image has instead is not known.
		change.Change.Change = changed
		change.isWay = old.isFolder() || new.isFolder()
	case old.present(known) == nil && new.present(there) == nil:
		// Only the image knows what it was that was deleted, or is back.
		change.Change.Change, change.Kind = deleted, thing{}.kind()
		if known {
			change.Change.Change = added
		}
	}
	return change
}

// present is the thing that a pack has, nil where it has none.
func (p *packed) present(known bool) *thing {
	if !known || p.deleted {
		return nil
	}
	return &p.thing
}

// onlyOne says whether the pack has something instead of the image's, which the other one left as it is.
func (p *packed) onlyOne(known, other bool) bool { return known && !other && p.replaces && !p.deleted }

// withoutWays leaves out the image's own folders where something in them is told: one pack has them for that.
func withoutWays(changes iter.Seq[onWay]) iter.Seq[onWay] {
	return func(yield func(onWay) bool) {
		var way *onWay
		for change := range changes {
			if way != nil && !strings.HasPrefix(change.Path, way.Path+"/") && !yield(*way) {
				return
			}
			if way = nil; change.isWay {
				way = &change
			} else if !yield(change) {
				return
			}
		}
		if way != nil {
			yield(*way)
		}
	}
}
