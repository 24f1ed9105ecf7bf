package checkout

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/config"
)

const (
	markFile = "sandkeeper"
	remote   = "origin"
)

// mark is what was last brought about in a repository, kept in it: it goes with the volume wherever that is restored.
type mark struct {
	Repository string `json:"repository"`
	Branch     string `json:"branch"`
}

// readMark reads the mark; of a checkout that somebody else made, no more than what its remote is.
func readMark(repository *os.Root) mark {
	var found mark
	if content, err := read(repository, markFile); err == nil && json.Unmarshal([]byte(content), &found) == nil {
		return found
	}
	content, err := read(repository, "config")
	if err != nil {
		return mark{}
	}
	parsed := config.NewConfig()
	if err := parsed.Unmarshal([]byte(content)); err != nil {
		return mark{}
	}
	// A remote may be there without an address.
	if known := parsed.Remotes[remote]; known != nil && len(known.URLs) > 0 {
		return mark{Repository: known.URLs[0]}
	}
	return mark{}
}

func (m mark) write(repository *os.Root) error {
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return write(repository, markFile, string(content)+"\n")
}

// isSame tells whether two addresses are one repository, as far as servers agree on that.
func isSame(one, other string) bool {
	return plain(one) == plain(other)
}

func plain(address string) string {
	return strings.TrimSuffix(strings.TrimRight(address, "/"), ".git")
}
