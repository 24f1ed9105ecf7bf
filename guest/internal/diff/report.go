package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// What becomes of a path.
const (
	added   = "added"
	changed = "changed"
	deleted = "deleted"
)

// Change is one line.
type Change struct {
	// Path begins with workspace or system. A byte that is no UTF-8 stands there as \xNN, and Bytes has all as they are.
	Path  string `json:"path"`
	Bytes []byte `json:"pathBytes,omitempty"`
	// Change is added, changed or deleted.
	Change string `json:"change"`
	// Kind is file, directory, symlink or other; that of what was deleted, too. OldKind is there where it was another one.
	Kind    string `json:"kind"`
	OldKind string `json:"oldKind,omitempty"`
	// Size and OldSize are in bytes; folders have none, and nobody knows that of a file that only the image has.
	Size    *int64 `json:"size,omitempty"`
	OldSize *int64 `json:"oldSize,omitempty"`
}

// Counts sum up the changes of one part.
type Counts struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Deleted int `json:"deleted"`
	// BytesAdded are those of what was added, and by which something grew; BytesDeleted the other way round.
	BytesAdded   int64 `json:"bytesAdded"`
	BytesDeleted int64 `json:"bytesDeleted"`
}

func (c *Counts) count(change Change) {
	switch change.Change {
	case added:
		c.Added++
	case changed:
		c.Changed++
	case deleted:
		c.Deleted++
	}
	if change.Change == changed && (change.Size == nil || change.OldSize == nil) {
		return
	}
	grown := sizeOf(change.Size) - sizeOf(change.OldSize)
	if grown > 0 {
		c.BytesAdded = plus(c.BytesAdded, grown)
	} else {
		c.BytesDeleted = plus(c.BytesDeleted, -grown)
	}
}

func sizeOf(size *int64) int64 {
	if size == nil {
		return 0
	}
	return max(0, *size)
}

// plus adds what is not negative: files with holes may have more bytes together than can be counted.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Summary sums up all changes.
type Summary struct {
	Workspace Counts `json:"workspace"`
	// System and Packages are missing where a pack could not be read.
	System   *Counts  `json:"system,omitempty"`
	Packages Packages `json:"packages,omitempty"`
	Git      *Git     `json:"git,omitempty"`
	// Unread is how many paths could not be compared.
	Unread int `json:"unread"`
}

// Fit returns a summary as JSON of at most so many bytes, with fewer names of packages the fewer fit.
func (s Summary) Fit(most int) ([]byte, error) {
	for names := mostNames; ; names /= 2 {
		var encoded bytes.Buffer
		if err := plain(&encoded).Encode(s.withNames(names)); err != nil {
			return nil, err
		}
		if line := bytes.TrimSuffix(encoded.Bytes(), []byte("\n")); len(line) <= most || names == 0 {
			return line, nil
		}
	}
}

func (s Summary) withNames(most int) Summary {
	packages := Packages{}
	for manager, each := range s.Packages {
		packages[manager] = PackageChanges{each.Added.first(most), each.Changed.first(most), each.Removed.first(most)}
	}
	s.Packages = packages
	return s
}

// plain is an encoder for readers of JSON, not for a page of HTML.
func plain(to io.Writer) *json.Encoder {
	encoder := json.NewEncoder(printable{to})
	encoder.SetEscapeHTML(false)
	return encoder
}

// printable escapes in JSON what would do more to a terminal than print: beside what JSON escapes itself there are control
// characters of another kind, and what turns the direction of writing.
type printable struct{ to io.Writer }

func (p printable) Write(line []byte) (int, error) {
	// An encoder writes whole lines.
	escaped := make([]byte, 0, len(line))
	for _, letter := range string(line) {
		switch {
		case letter == '\n' || unicode.IsPrint(letter):
			escaped = utf8.AppendRune(escaped, letter)
		case letter > 0xffff:
			high, low := utf16.EncodeRune(letter)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, letter)
		}
	}
	if _, err := p.to.Write(escaped); err != nil {
		return 0, err
	}
	return len(line), nil
}

// A log is for people; how much is unread stands in the summary.
const mostLogged = 100

type report struct {
	out     *json.Encoder
	log     io.Writer
	summary Summary
	// failure is the first of writing to out.
	failure error
}

func (r *report) write(line any) {
	if r.failure == nil {
		r.failure = r.out.Encode(line)
	}
}

func (r *report) change(change Change, counts *Counts) {
	counts.count(change)
	if !utf8.ValidString(change.Path) {
		change.Bytes = []byte(change.Path)
		change.Path = readable(change.Path)
	}
	r.write(change)
}

// readable writes bytes that are no UTF-8 as \xNN.
func readable(path string) string {
	var text strings.Builder
	for at := 0; at < len(path); {
		_, size := utf8.DecodeRuneInString(path[at:])
		if size == 1 && path[at] >= utf8.RuneSelf {
			fmt.Fprintf(&text, `\x%02x`, path[at])
		} else {
			text.WriteString(path[at : at+size])
		}
		at += size
	}
	return text.String()
}

func (r *report) unread(path string, err error) {
	if r.summary.Unread++; r.summary.Unread <= mostLogged {
		fmt.Fprintf(r.log, "guest: %q is not compared: %v\n", path, err)
	}
}

func (r *report) endLog() {
	if more := r.summary.Unread - mostLogged; more > 0 {
		fmt.Fprintf(r.log, "guest: %d more are not compared\n", more)
	}
}
