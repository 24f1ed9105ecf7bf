package pack

import "sync"

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

// rests says whether nothing can have changed in a folder, however deep: it is a layer's own, as another container found it
// too, and a change in it would have made another folder of it. Names of one file may lie in several, and change together.
func (i *Index) rests(folder *entry) bool {
	return i.brought.holds(folder.path) && !i.linking()[folder.path] && i.same(folder)
}

// linkingFolders are those with a file in them, however deep, that has several names.
func (i *Index) linkingFolders() map[string]bool {
	all := map[string]bool{}
	for _, text := range i.notes {
		notes := readNotes(text)
		for each, ok := notes.next(); ok; each, ok = notes.next() {
			if !each.linked {
				continue
			}
			for folder := folderOf(each.path); folder != "" && !all[folder]; folder = folderOf(folder) {
				all[folder] = true
			}
		}
	}
	return all
}
