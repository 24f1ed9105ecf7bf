// Package hidden keeps what Secrets hold out of what a guest tells: whoever may read a sandbox's status need not be
// allowed to read its Secrets.
package hidden

import (
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// A shorter value is a word like any other: without it a text would tell nothing.
	shortest = 8
	// No Secret is larger.
	largest = 1 << 20
	cover   = "***"
)

// others are variables that no Secret has to be the source of, of those that all containers have.
var others = []string{"HOME", "HOSTNAME", "PATH", "PWD"}

// Sources say where a sandbox has values of Secrets.
type Sources struct {
	// Variables hold one each.
	Variables []string `json:"variables,omitempty"`
	// Prefixes are of the variables that whole Secrets give, whose names nobody knows beforehand.
	Prefixes []string `json:"prefixes,omitempty"`
	// Plain are variables that hold something else, though they begin with one of these.
	Plain []string `json:"plain,omitempty"`
	// Folders have a file for each key.
	Folders []string `json:"folders,omitempty"`
}

// Mask covers values wherever they stand. The zero value covers nothing.
type Mask struct {
	values   []string
	replacer *strings.Replacer
}

// Mask returns what covers all values there are now, in an environment and in files. Of one with several lines each is a
// value of its own.
func (s Sources) Mask(environment []string) Mask {
	var values []string
	for _, variable := range environment {
		if name, value, ok := strings.Cut(variable, "="); ok && s.holds(name) {
			values = append(values, parts(value)...)
		}
	}
	for _, folder := range s.Folders {
		values = append(values, inFolder(folder)...)
	}
	return covering(values)
}

// holds tells whether a variable may have a value of a Secret.
func (s Sources) holds(name string) bool {
	if slices.Contains(s.Variables, name) {
		return true
	}
	given := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return slices.ContainsFunc(s.Prefixes, given) && !slices.Contains(s.Plain, name) && !slices.Contains(others, name)
}

func covering(values []string) Mask {
	// Of two that begin at one place the longer one is covered.
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	values = slices.Compact(values)
	pairs := make([]string, 0, 2*len(values))
	for _, value := range values {
		pairs = append(pairs, value, cover)
	}
	return Mask{values: values, replacer: strings.NewReplacer(pairs...)}
}

// Line returns a line with all values covered; at the end of one that was cut off, the beginning of one too.
func (m Mask) Line(line string, cut bool) string {
	if len(m.values) == 0 {
		return line
	}
	if whole := len(line) - m.begun(line); cut && whole < len(line) {
		return m.replacer.Replace(line[:whole]) + cover
	}
	return m.replacer.Replace(line)
}

// begun is how many bytes at the end of a line may be the beginning of a value.
func (m Mask) begun(line string) int {
	most := 0
	for _, value := range m.values {
		for size := min(len(value)-1, len(line)); size > most && size >= shortest; size-- {
			if strings.HasSuffix(line, value[:size]) {
				most = size
			}
		}
	}
	return most
}

// inFolder reads a folder as a mounted Secret is: a link for each key, and folders of the kubelet's own. What can't be
// read can't be printed either.
func inFolder(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var values []string
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "..") {
			values = append(values, parts(content(filepath.Join(folder, entry.Name())))...)
		}
	}
	return values
}

func content(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	read, err := io.ReadAll(io.LimitReader(file, largest))
	if err != nil {
		return ""
	}
	return string(read)
}

func parts(value string) []string {
	var found []string
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); len(line) >= shortest {
			found = append(found, line)
		}
	}
	return found
}
