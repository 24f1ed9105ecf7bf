// Package pack keeps what changed in a root file system: found by an index made at start, written as one file, and
// brought into the fresh root file system of the next container.
//
// A pack is a tar archive (PAX) under zstd with a checksum at its end. It is written beside the former one, read back
// and renamed, so that there is always one whole pack or none. Whoever reads a pack trusts nothing in it: it comes
// from a volume that the sandbox itself can write.
package pack

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	file       = "pack"
	unfinished = "pack.unfinished"
	refused    = "pack.refused"
)

// Label says what a pack was made of.
type Label struct {
	// Image is the fingerprint of the image under it.
	Image string
	// Installed stands for the packages and the setup that are in it.
	Installed string
}

// Result is what became of packing.
type Result struct {
	Entries       int    `json:"entries"`
	Bytes         int64  `json:"bytes"`
	UnpackedBytes int64  `json:"unpackedBytes"`
	Digest        string `json:"digest"`
}

// Reasons of a Failure.
const (
	TooLarge   = "TooLarge"
	VolumeFull = "VolumeFull"
	Failed     = "Failed"
)

// Failure says why there is no new pack; the former one is as it was.
type Failure struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Largest []Size `json:"largest,omitempty"`
}

func (f *Failure) Error() string {
	if len(f.Largest) == 0 {
		return f.Message
	}
	var biggest []string
	for _, each := range f.Largest {
		biggest = append(biggest, fmt.Sprintf("%s (%s)", each.Path, size(each.Bytes)))
	}
	return fmt.Sprintf("%s. The biggest: %s", f.Message, strings.Join(biggest, ", "))
}

// Size is how much of a pack a file takes, before compression.
type Size struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// Say tells the reader of the sandbox's log something.
type Say func(format string, words ...any)

// Store is the folder that packs of one sandbox lie in. It is not safe for concurrent use.
type Store struct {
	folder string
	limit  int64
	most   int
	index  *Index
	path   string
	say    Say
	// What was packed or unpacked last, and what came of it.
	state  string
	label  Label
	result Result
}

// OpenStore returns the store in a folder, for a root file system that was just indexed.
//
// Parameters are the folder, the path of the root file system, its index, and the limit of a pack's bytes before
// compression, 0 for none. What is not as somebody may expect is said.
func OpenStore(folder, root string, index *Index, limit int64, say Say) (*Store, error) {
	if err := os.RemoveAll(filepath.Join(folder, unfinished)); err != nil {
		return nil, err
	}
	return &Store{folder: folder, limit: limit, most: mostEntries, index: index, path: root, say: say}, nil
}

// Pack writes what changed in the root file system, unless nothing did since the last time.
//
// A file that is written to meanwhile is packed as long as it was when it was opened; one that vanishes is left out.
// What can't be read fails the pack, so that nothing is lost unsaid. The error is always a *Failure.
func (s *Store) Pack(installed string) (Result, error) {
	result, err := s.pack(Label{Image: s.index.image(), Installed: installed})
	if err != nil {
		return Result{}, asFailure(err)
	}
	if err := s.index.keep(s.folder); err != nil && !isFull(err) {
		s.say("the next start has to look at the whole image: %v", err)
	}
	return result, nil
}

func asFailure(err error) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	return &Failure{Reason: Failed, Message: fmt.Sprintf("packing failed: %v", err)}
}

func (s *Store) pack(label Label) (Result, error) {
	root, err := OpenRoot(s.path)
	if err != nil {
		return Result{}, err
	}
	defer root.Close()
	found, err := s.index.compare(root)
	if err != nil {
		return Result{}, err
	}
	if found.state == s.state && label == s.label {
		return s.result, nil
	}
	if s.limit > 0 && found.bytes > s.limit {
		return Result{}, tooLarge(found, s.limit)
	}
	if found.foreign != "" {
		return Result{}, &Failure{Reason: Failed, Message: foreign(found.foreign)}
	}
	result, err := s.replace(root, label, found)
	if err != nil {
		return Result{}, s.explained(err, found)
	}
	if found.whiteouts > 0 {
		s.say("%d whiteouts of overlays are not packed; the first is /%s", found.whiteouts, found.whiteout)
	}
	s.state, s.label, s.result = found.state, label, result
	return result, nil
}

func (s *Store) replace(root *Root, label Label, found *changes) (Result, error) {
	if len(found.changed)+len(found.deleted) == 0 {
		err := os.Remove(filepath.Join(s.folder, file))
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return Result{}, err
	}
	temporary := filepath.Join(s.folder, unfinished)
	if err := os.RemoveAll(temporary); err != nil {
		return Result{}, err
	}
	result, err := writeFile(temporary, root, label, found, s.bounds())
	if err == nil {
		err = os.Rename(temporary, filepath.Join(s.folder, file))
	}
	if err != nil {
		os.Remove(temporary)
		return Result{}, err
	}
	if err := syncFolder(s.folder); err != nil {
		return Result{}, err
	}
	// Whoever wanted to look at one that was set aside has had the time from then on.
	return result, os.RemoveAll(filepath.Join(s.folder, refused))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Packing only reads from the root file system: where room is missing, it is on the volume.
func (s *Store) explained(err error, found *changes) error {
	// What grew since, or has too many holes to tell, counts only here.
	if errors.Is(err, errTooMuch) {
		return &Failure{Reason: TooLarge, Message: err.Error(), Largest: largest(found)}
	}
	if !isFull(err) {
		return err
	}
	message := fmt.Sprintf("the workspace volume has no room for the pack of %s that changed", size(found.bytes))
	return &Failure{Reason: VolumeFull, Message: message, Largest: largest(found)}
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func tooLarge(found *changes, limit int64) error {
	message := fmt.Sprintf("%s changed in the root file system, and the limit of a pack is %s", size(found.bytes), size(limit))
	return &Failure{Reason: TooLarge, Message: message, Largest: largest(found)}
}

func largest(found *changes) []Size {
	bySize := slices.SortedFunc(slices.Values(found.changed), func(a, b change) int { return cmp.Compare(b.size, a.size) })
	var sizes []Size
	for _, change := range bySize[:min(10, len(bySize))] {
		if change.size == 0 {
			break
		}
		sizes = append(sizes, Size{Path: "/" + change.path, Bytes: change.size})
	}
	return sizes
}

func foreign(path string) string {
	return fmt.Sprintf("/%s was changed, and belongs to another user than the image runs as, who can't bring it back", path)
}

func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", bytes)
}
