package checkout

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// unignored is a working tree without folders that are ignored and hold nothing that is tracked: Git does not enter those
// either, and of what is installed there may be more files than in all the rest.
type unignored struct {
	billy.Filesystem
	ignored gitignore.Matcher
	// tracked are the folders with files in the index.
	tracked map[string]bool
}

// withoutIgnored wraps a working tree; excluded are patterns that stand nowhere in it.
func withoutIgnored(tree billy.Filesystem, store storer.IndexStorer, excluded []gitignore.Pattern) (billy.Filesystem, error) {
	index, err := store.Index()
	if err != nil {
		return nil, err
	}
	tracked := map[string]bool{}
	for _, entry := range index.Entries {
		for folder := path.Dir(entry.Name); folder != "." && !tracked[folder]; folder = path.Dir(folder) {
			tracked[folder] = true
		}
	}
	patterns, err := gitignore.ReadPatterns(tree, nil)
	if err != nil {
		return nil, err
	}
	return &unignored{tree, gitignore.NewMatcher(append(excluded, patterns...)), tracked}, nil
}

// ReadDir lists a folder.
func (u *unignored) ReadDir(folder string) ([]os.FileInfo, error) {
	held, err := u.Filesystem.ReadDir(folder)
	return slices.DeleteFunc(held, func(each os.FileInfo) bool {
		name := filepath.Join(folder, each.Name())
		return each.IsDir() && !u.tracked[name] && u.ignored.Match(strings.Split(name, "/"), true)
	}), err
}

// excluded are the patterns of this checkout's own file for that, which go-git reads no more since it keeps out of .git.
func excluded(folder string) (patterns []gitignore.Pattern) {
	repository, err := os.OpenRoot(filepath.Join(folder, dotGit))
	if err != nil {
		return nil
	}
	defer repository.Close()
	content, _ := read(repository, "info/exclude")
	for line := range strings.Lines(content) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, gitignore.ParsePattern(line, nil))
		}
	}
	return patterns
}
