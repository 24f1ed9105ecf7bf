package checkout

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"
)

const branches = "refs/heads/"

var (
	commitName = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	// amiss is what git-check-ref-format(1) keeps out of names.
	amiss = regexp.MustCompile(`[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(^|/)\.|\.(lock)?(/|$)|^[-/]|/$|^@$|^$`)
)

// head is where a repository's HEAD stands.
type head struct {
	// ref is the branch; empty where HEAD names a commit itself.
	ref string
	// commit is empty where the branch has none yet.
	commit string
}

func readHead(repository *os.Root) (head, error) {
	content, err := read(repository, "HEAD")
	if err != nil {
		return head{}, err
	}
	line := strings.TrimSpace(content)
	if commitName.MatchString(line) {
		return head{commit: line}, nil
	}
	name, symbolic := strings.CutPrefix(line, "ref:")
	name = strings.TrimSpace(name)
	if !symbolic || !strings.HasPrefix(name, "refs/") || amiss.MatchString(name) {
		return head{}, refuse(".git/HEAD names neither a ref nor a commit")
	}
	commit, err := readRef(repository, name)
	return head{ref: name, commit: commit}, err
}

// readRef reads the commit of a ref; empty where there is no such ref.
func readRef(repository *os.Root, name string) (string, error) {
	content, err := read(repository, name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return readPacked(repository, name)
	case err != nil:
		if held, at := repository.Lstat(name); at == nil && held.IsDir() {
			return readPacked(repository, name)
		}
		return "", err
	}
	if line := strings.TrimSpace(content); commitName.MatchString(line) {
		return line, nil
	}
	return "", refuse(".git/%s names no commit", name)
}

func readPacked(repository *os.Root, name string) (string, error) {
	held, err := repository.Lstat("packed-refs")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil || !held.Mode().IsRegular() {
		return "", refuse(".git/packed-refs is no plain file")
	}
	file, err := repository.Open("packed-refs")
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if commit, found, _ := strings.Cut(lines.Text(), " "); found == name && commitName.MatchString(commit) {
			return commit, nil
		}
	}
	return "", lines.Err()
}

// writeRef makes a ref or moves it.
func writeRef(repository *os.Root, name, commit string) error {
	if err := makeFolders(repository, name); err != nil {
		return inTheWay(name, err)
	}
	return inTheWay(name, write(repository, name, commit+"\n"))
}

// inTheWay tells of a branch whose name is a part of another's, which no repository can hold beside it.
func inTheWay(name string, err error) error {
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return refuse("branch %q can't be made beside another branch of the checkout that is called like a part of it",
			strings.TrimPrefix(name, branches))
	}
	return err
}
