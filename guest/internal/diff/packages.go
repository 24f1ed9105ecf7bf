package diff

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strings"

	"sandkeeper.dev/guest/internal/pack"
)

const (
	// So many names of packages are told of each kind of change.
	mostNames = 100
	// No package has a longer name or version.
	longestWord = 128
	wordsCost   = 3 * longestWord
)

// Packages are the changes of packages by manager: apt, pip or npm. One without changes is missing.
type Packages map[string]PackageChanges

// PackageChanges are those of one manager.
type PackageChanges struct {
	Added   Names `json:"added,omitzero"`
	Changed Names `json:"changed,omitzero"`
	Removed Names `json:"removed,omitzero"`
}

// Names are the first of many: NAME=VERSION, NAME=OLD->NEW of what changed, and less where a version is not known.
type Names struct {
	// Count is how many there are, told or not.
	Count int      `json:"count"`
	Names []string `json:"names,omitempty"`
}

func (n *Names) add(name string) {
	if n.Count++; len(n.Names) < mostNames {
		n.Names = append(n.Names, name)
	}
}

func (n Names) first(most int) Names {
	return Names{Count: n.Count, Names: n.Names[:min(most, len(n.Names))]}
}

// key is a package in a place of its own, such as a virtual environment.
type key struct{ manager, name, place string }

// found are the packages that a pack speaks of, with their versions; one of the image that was not touched it does not.
type found struct {
	has, gone map[key]string
	// images are those of has that the image has too, in the version that is known of that: mostly none.
	images map[key]string
	// status is what dpkg says of all packages, the image's too; nil where the pack does not have it.
	status map[key]string
	// touched are those whose list of files is in the pack.
	touched map[key]bool
}

func newFound() *found {
	return &found{has: map[key]string{}, gone: map[key]string{}, images: map[key]string{}, touched: map[key]bool{}}
}

// see learns of packages from an item of a pack, and returns how much memory that took.
func (f *found) see(item pack.Item, content io.Reader) int {
	before := f.count()
	switch {
	case f.seeDpkg(item, content):
	case f.seePip(item):
	case f.seeNpm(item, content):
	}
	return (f.count() - before) * wordsCost
}

func (f *found) count() int {
	return len(f.has) + len(f.gone) + len(f.images) + len(f.status) + len(f.touched)
}

func (f *found) note(item pack.Item, which key, version string) {
	which.name, version = word(which.name), word(version)
	if item.Deleted {
		f.gone[which] = version
	} else {
		f.has[which] = version
	}
}

// word is a name or a version as long as one can be.
func word(long string) string {
	return strings.Clone(strings.ToValidUTF8(long[:min(longestWord, len(long))], "?"))
}

// changesTo compares the packages of two packs.
func (f *found) changesTo(now *found) Packages {
	all := f.status != nil && now.status != nil
	f.settleDpkg(all)
	now.settleDpkg(all)
	keys := map[key]bool{}
	for _, known := range []map[key]string{f.has, f.gone, now.has, now.gone} {
		for each := range known {
			keys[each] = true
		}
	}
	packages := Packages{}
	for _, each := range slices.SortedFunc(maps.Keys(keys), byName) {
		old, had := f.state(each, now)
		new, has := now.state(each, f)
		changes := packages[each.manager]
		switch {
		case had && !has:
			changes.Removed.add(named(each.name, old))
		case !had && has:
			changes.Added.add(named(each.name, new))
		case had && old != new:
			changes.Changed.add(named(each.name, arrow(old, new)))
		default:
			continue
		}
		packages[each.manager] = changes
	}
	return packages
}

// state says whether a root file system has a package, and in which version: what its pack does not speak of is as in the
// image, which has what the other pack deleted or replaced.
func (f *found) state(which key, other *found) (version string, there bool) {
	if version, ok := f.has[which]; ok {
		return version, true
	}
	if _, ok := f.gone[which]; ok {
		return "", false
	}
	if version, ok := other.gone[which]; ok {
		return version, true
	}
	version, there = other.images[which]
	return version, there
}

func byName(a, b key) int {
	return cmp.Or(cmp.Compare(a.manager, b.manager), cmp.Compare(a.name, b.name), cmp.Compare(a.place, b.place))
}

func arrow(old, new string) string {
	if old == "" || new == "" {
		return cmp.Or(new, old)
	}
	return old + "->" + new
}

func named(name, version string) string {
	if version == "" {
		return name
	}
	return name + "=" + version
}
