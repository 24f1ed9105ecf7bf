package diff

import (
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Git says where the repository of the workspace stands; without one on a side it is missing there.
type Git struct {
	Old *Head `json:"old,omitempty"`
	New *Head `json:"new,omitempty"`
}

// Head is what a repository's HEAD is.
type Head struct {
	// Branch is empty where none is checked out, Commit where there is none yet.
	Branch string `json:"branch,omitempty"`
	Commit string `json:"commit,omitempty"`
}

const (
	longestRef = 255
	// A file of one ref is a line.
	mostOfRef    = 4 << 10
	mostOfPacked = 64 << 20
	branches     = "refs/heads/"
)

var commits = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func (r *report) git(old, now *volume) *Git {
	git := &Git{Old: r.head(old), New: r.head(now)}
	if git.Old == nil && git.New == nil {
		return nil
	}
	return git
}

// head reads a repository's files as they are; nothing of Git runs, and a repository elsewhere is not looked for.
func (r *report) head(in *volume) *Head {
	content, err := line(in, "HEAD")
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return nil
	}
	if err != nil {
		r.unread(in.path+"/workspace/.git/HEAD", err)
		return nil
	}
	ref, symbolic := strings.CutPrefix(content, "ref: ")
	if !symbolic {
		return &Head{Commit: commit(content)}
	}
	branch, ok := strings.CutPrefix(ref, branches)
	if !ok || !isRef(branch) {
		return &Head{}
	}
	return &Head{Branch: branch, Commit: commitOf(in, ref)}
}

func commitOf(in *volume, ref string) string {
	if content, err := line(in, strings.Split(ref, "/")...); err == nil {
		return commit(content)
	}
	source, err := openFile(in.workspace, ".git", "packed-refs")
	if err != nil {
		return ""
	}
	defer source.Close()
	found := ""
	eachLine(io.LimitReader(source, mostOfPacked), func(line string) {
		if name, ok := strings.CutSuffix(line, " "+ref); ok {
			found = commit(name)
		}
	})
	return found
}

// line reads a file of one line in the repository's own folder.
func line(in *volume, steps ...string) (string, error) {
	source, err := openFile(in.workspace, append([]string{".git"}, steps...)...)
	if err != nil {
		return "", err
	}
	defer source.Close()
	content, err := io.ReadAll(io.LimitReader(source, mostOfRef))
	return strings.TrimSuffix(string(content), "\n"), err
}

func commit(word string) string {
	if commits.MatchString(word) {
		return word
	}
	return ""
}

// isRef says whether a name may be a branch's, and thus a path within the repository (git-check-ref-format).
func isRef(name string) bool {
	if len(name) > longestRef || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return false
	}
	for step := range strings.SplitSeq(name, "/") {
		if step == "" || strings.HasPrefix(step, ".") {
			return false
		}
	}
	return true
}
