package pack

import (
	"iter"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// So many goroutines survey a root file system: a sandbox is ready, and copied, no sooner than they are done, and nearly
// all of it is the kernel's work.
const surveyorsAtWork = 2

// stretch is a part of a root file system as one goroutine saw it, and leads to what comes after it in a walk.
type stretch[Seen any] struct {
	seen Seen
	next *stretch[Seen]
}

// surveyor sees a whole root file system.
type surveyor[Seen any] struct {
	root *Root
	// add notes what is visited. Several goroutines do so at once, each on a stretch of its own.
	add func(*Seen, *entry)
	// known notes all that is in a folder, and says so, where that is known without a look; nil where nothing is.
	known func(*Seen, *entry) bool
	group errgroup.Group
}

// survey sees all; one after the other, its stretches have what a single walk would visit.
func (s *surveyor[Seen]) survey() (*stretch[Seen], error) {
	first := &stretch[Seen]{}
	s.group.SetLimit(surveyorsAtWork)
	s.group.Go(func() error { return s.see(first, s.root.fd, "") })
	return first, s.group.Wait()
}

// see goes through an open folder; where fewer than may be are at work, another one takes over a folder in it.
func (s *surveyor[Seen]) see(here *stretch[Seen], fd int, folder string) error {
	walker := &walker{root: s.root}
	walker.visit = func(found *entry) error {
		s.add(&here.seen, found)
		return nil
	}
	walker.known = func(found *entry) bool { return s.known != nil && s.known(&here.seen, found) }
	walker.taken = func(fd int, folder string) bool {
		after := &stretch[Seen]{next: here.next}
		inside := &stretch[Seen]{next: after}
		if !s.group.TryGo(func() error {
			defer unix.Close(fd)
			return s.see(inside, fd, folder)
		}) {
			return false
		}
		here.next = inside
		here = after
		return true
	}
	return walker.folder(fd, folder)
}

// all are what was seen on a stretch and on those after it.
func (s *stretch[Seen]) all() iter.Seq[*Seen] {
	return func(yield func(*Seen) bool) {
		for each := s; each != nil; each = each.next {
			if !yield(&each.seen) {
				return
			}
		}
	}
}
