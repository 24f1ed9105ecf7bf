package pack

import (
	"sync"

	"golang.org/x/sys/unix"
)

// pathSet is a set of folders that several goroutines add to.
type pathSet struct {
	lock  sync.Mutex
	paths map[string]bool
}

func (s *pathSet) add(path string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.paths == nil {
		s.paths = map[string]bool{}
	}
	s.paths[path] = true
}

// holds says whether something is, or lies in, one of the folders; nobody may add to them meanwhile.
func (s *pathSet) holds(path string) bool {
	for at := 0; at < len(path); at++ {
		if path[at] == '/' && s.paths[path[:at]] {
			return true
		}
	}
	return s.paths[path]
}

// rests says whether nothing can have changed in a folder, however deep: it is a layer's own as at start, and a change in
// it would have copied it into the upper folder, where its ctime is another.
//
// Its inode does not tell that it was copied, but that it is no other that lies in its place since a folder above was
// renamed: those of a layer may be of one tick of the clock.
func (i *Index) rests(folder *entry) bool {
	inode, own := i.own()[folder.path]
	return own && inode == folder.inode() && i.same(folder)
}

// layersOwn are the folders, with their inodes, that were a layer's own at start, as another container found them too or
// they are older than the upper folder. Names of one file may lie in several, and change together.
func (i *Index) layersOwn() map[string]uint64 {
	own, linking, younger := map[string]uint64{}, i.linkingFolders(), i.youngerFolders()
	for _, text := range i.notes {
		notes := readNotes(text)
		for each, ok := notes.next(); ok; each, ok = notes.next() {
			if !each.isDir() || linking[each.path] {
				continue
			}
			older := !i.ground.touched[each.path] && !younger.holds(each.path)
			if older || i.brought.holds(each.path) {
				own[each.path] = each.inode
			}
		}
	}
	return own
}

// youngerFolders are those that may lie in the upper folder though no runtime is known to make anything there. Whoever did
// may have moved older ones into them, whose own ctime that leaves as it was.
func (i *Index) youngerFolders() *pathSet {
	younger := &pathSet{}
	for _, text := range i.notes {
		notes := readNotes(text)
		for each, ok := notes.next(); ok; each, ok = notes.next() {
			older := i.layered != 0 && each.ctime < i.layered
			if each.isDir() && !older && !i.ground.touched[each.path] {
				younger.add(each.path)
			}
		}
	}
	return younger
}

// linkingFolders are those with something in them, however deep, that may have several names; of a pipe nobody notes it.
func (i *Index) linkingFolders() map[string]bool {
	all := map[string]bool{}
	for _, text := range i.notes {
		notes := readNotes(text)
		for each, ok := notes.next(); ok; each, ok = notes.next() {
			if !each.linked && each.kind() != unix.S_IFIFO {
				continue
			}
			for folder := folderOf(each.path); folder != "" && !all[folder]; folder = folderOf(folder) {
				all[folder] = true
			}
		}
	}
	return all
}
