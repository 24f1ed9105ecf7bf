package pack

import (
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// So many goroutines survey a root file system: no sandbox is ready before, and nearly all of it is the kernel's work.
const surveyorsAtWork = 2

// stretch is a part of a root file system as one goroutine saw it, and leads to what comes after it in a walk.
type stretch struct {
	marked []marked
	// image is what tells the image apart.
	image []byte
	next  *stretch
}

type marked struct {
	path string
	mark mark
}

// survey sees the whole root file system; one after the other, its stretches have what a single walk would visit.
func survey(root *Root) (*stretch, error) {
	first, surveyors := &stretch{}, &errgroup.Group{}
	surveyors.SetLimit(surveyorsAtWork)
	surveyors.Go(func() error { return first.see(root, root.fd, "", surveyors) })
	return first, surveyors.Wait()
}

// see goes through an open folder; where fewer than may be are at work, another one takes over a folder in it.
func (s *stretch) see(root *Root, fd int, folder string, surveyors *errgroup.Group) error {
	here := s
	add := func(found *entry) error {
		here.add(found)
		return nil
	}
	taken := func(fd int, folder string) bool {
		after := &stretch{next: here.next}
		inside := &stretch{next: after}
		if !surveyors.TryGo(func() error {
			defer unix.Close(fd)
			return inside.see(root, fd, folder, surveyors)
		}) {
			return false
		}
		here.next = inside
		here = after
		return true
	}
	return (&walker{root: root, visit: add, taken: taken}).folder(fd, folder)
}

func (s *stretch) add(found *entry) {
	status := &found.status
	s.marked = append(s.marked, marked{found.path, mark{ctime: found.ctime(), kind: found.kind()}})
	// Folders also hold what the runtime makes for mounts, which differs between pods of one image.
	if found.isFile() || found.kind() == unix.S_IFLNK {
		s.image = appendText(s.image, found.path)
		s.image = appendNumbers(s.image, int64(status.Mode), status.Size, status.Mtim.Sec)
		s.image = appendNumbers(s.image, int64(status.Uid), int64(status.Gid))
		s.image = appendText(s.image, found.target())
	}
}
