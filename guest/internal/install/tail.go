package install

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"sandkeeper.dev/guest/internal/hidden"
)

const (
	// What an Error keeps: it has to fit into a container's termination message with room for the rest.
	keptLines     = 20
	keptTelling   = 3
	keptBytes     = 3000
	keptLineBytes = 300
	// A line is read up to here; the rest of it is dropped, so that a program that never ends one takes no memory.
	readLineBytes = 4096
)

// pattern is a kind of line that tells why a program failed.
type pattern = *regexp.Regexp

// escapes are what terminals take for commands: colours, titles, moves of the cursor.
var escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])`)

// tail keeps the last lines of what is written to it, and the first of each kind that tells why something failed.
type tail struct {
	mutex    sync.Mutex
	mask     hidden.Mask
	patterns []pattern
	telling  []string
	last     []string
	line     []byte
}

func newTail(patterns []pattern, mask hidden.Mask) *tail {
	return &tail{mask: mask, patterns: patterns, telling: make([]string, len(patterns))}
}

// Write takes output; it never fails.
func (t *tail) Write(content []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	taken := len(content)
	for len(content) > 0 {
		// Progress bars write over their line with a carriage return.
		end := bytes.IndexAny(content, "\r\n")
		if end < 0 {
			t.add(content)
			break
		}
		t.add(content[:end])
		t.finish()
		content = content[end+1:]
	}
	return taken, nil
}

func (t *tail) add(content []byte) {
	room := readLineBytes - len(t.line)
	t.line = append(t.line, content[:min(room, len(content))]...)
}

// finish ends the line at work; an empty one tells nothing.
func (t *tail) finish() {
	// Before it is shortened: of a value that is cut off there nobody could tell what it was.
	line := clean(t.mask.Line(string(t.line), len(t.line) == readLineBytes))
	t.line = t.line[:0]
	if line == "" {
		return
	}
	for index, pattern := range t.patterns {
		if t.telling[index] == "" && pattern.MatchString(line) {
			t.telling[index] = line
		}
	}
	t.last = append(t.last, line)
	if len(t.last) > keptLines {
		t.last = t.last[1:]
	}
}

// lines returns the telling ones, by the order of their patterns, and the last ones; without patterns the very last
// is the telling one.
func (t *tail) lines() []string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.finish()
	first := distinct(t.telling, keptTelling)
	if len(first) == 0 && len(t.last) > 0 {
		first = t.last[len(t.last)-1:]
	}
	room := keptBytes
	for _, line := range first {
		room -= len(line)
	}
	return append(first[:len(first):len(first)], latest(t.last, first, room)...)
}

// distinct returns the first few lines that are none before.
func distinct(lines []string, most int) []string {
	var kept []string
	for _, line := range lines {
		if line != "" && len(kept) < most && !slices.Contains(kept, line) {
			kept = append(kept, line)
		}
	}
	return kept
}

// latest returns as many of the last lines as there is room for, in their order and without those told already.
func latest(lines, told []string, room int) []string {
	var kept []string
	for _, line := range slices.Backward(lines) {
		if slices.Contains(told, line) {
			continue
		}
		if room -= len(line); room < 0 {
			break
		}
		kept = append(kept, line)
	}
	slices.Reverse(kept)
	return kept
}

// clean returns a line that is safe to show: printable, valid UTF-8, not long.
func clean(line string) string {
	line = escapes.ReplaceAllString(strings.ToValidUTF8(line, "\uFFFD"), "")
	line = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, line)
	line = strings.TrimSpace(line)
	if len(line) <= keptLineBytes {
		return line
	}
	cut := keptLineBytes
	for !utf8.RuneStart(line[cut]) {
		cut--
	}
	return line[:cut] + "…"
}

// sharedWriter is a writer for several programs at once. One that fails is not their concern.
type sharedWriter struct {
	mutex sync.Mutex
	to    io.Writer
}

func (w *sharedWriter) Write(content []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	_, _ = w.to.Write(content)
	return len(content), nil
}
