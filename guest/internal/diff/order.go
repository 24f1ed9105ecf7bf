package diff

import (
	"cmp"
	"maps"
	"slices"
)

// inOrder returns all paths of two maps as a walk would come by them: a folder, what is in it, and then its next
// neighbour.
func inOrder[V any](one, other map[string]V) []string {
	paths := slices.AppendSeq(make([]string, 0, max(len(one), len(other))), maps.Keys(one))
	for path := range other {
		if _, known := one[path]; !known {
			paths = append(paths, path)
		}
	}
	slices.SortFunc(paths, asWalked)
	return paths
}

func asWalked(a, b string) int {
	for at := range min(len(a), len(b)) {
		if a[at] != b[at] {
			return cmp.Compare(rank(a[at]), rank(b[at]))
		}
	}
	return cmp.Compare(len(a), len(b))
}

// rank puts what is in a folder before names that only begin as the folder's.
func rank(letter byte) byte {
	if letter == '/' {
		return 0
	}
	return letter
}
