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

// survey sees the whole root file system; one after the other, its stretches have what a single walk would visit.
//
// Several goroutines add what they visit at once, each to a stretch of its own.
func survey[Seen any](root *Root, add func(*Seen, *entry)) (*stretch[Seen], error) {
	first, surveyors := &stretch[Seen]{}, &errgroup.Group{}
	surveyors.SetLimit(surveyorsAtWork)
	surveyors.Go(func() error { return first.see(root, root.fd, "", add, surveyors) })
	return first, surveyors.Wait()
}

// see goes through an open folder; where fewer than may be are at work, another one takes over a folder in it.
func (s *stretch[Seen]) see(
	root *Root, fd int, folder string, add func(*Seen, *entry), surveyors *errgroup.Group,
) error {
	here := s
	visit := func(found *entry) error {
		add(&here.seen, found)
		return nil
	}
	taken := func(fd int, folder string) bool {
		after := &stretch[Seen]{next: here.next}
		inside := &stretch[Seen]{next: after}
		if !surveyors.TryGo(func() error {
			defer unix.Close(fd)
			return inside.see(root, fd, folder, add, surveyors)
		}) {
			return false
		}
		here.next = inside
		here = after
		return true
	}
	return (&walker{root: root, visit: visit, taken: taken}).folder(fd, folder)
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
