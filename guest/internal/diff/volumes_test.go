package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sandkeeper.dev/guest/internal/pack"
)

// two are a volume before and after, under test.
type two struct {
	t        *testing.T
	old, now string
}

func newTwo(t *testing.T) *two {
	t.Helper()
	both := &two{t: t, old: t.TempDir(), now: t.TempDir()}
	for _, each := range []string{both.old, both.now} {
		must(t, os.Mkdir(filepath.Join(each, "workspace"), 0o755))
	}
	return both
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes files, by path from a folder.
func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(folder, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}
}

// workspace writes files into both workspaces.
func (b *two) workspace(old, now map[string]string) {
	b.t.Helper()
	write(b.t, filepath.Join(b.old, "workspace"), old)
	write(b.t, filepath.Join(b.now, "workspace"), now)
}

// packed packs on a volume what becomes of a root file system whose image has some files.
func (b *two) packed(volume string, image, files map[string]string, deleted ...string) {
	b.t.Helper()
	root, folder := b.t.TempDir(), filepath.Join(volume, "system")
	write(b.t, root, image)
	must(b.t, os.MkdirAll(folder, 0o755))
	opened, err := pack.OpenRoot(root)
	must(b.t, err)
	defer opened.Close()
	index, err := pack.NewIndex(opened)
	must(b.t, err)
	store, err := pack.OpenStore(folder, root, index, 0, b.t.Logf)
	must(b.t, err)
	// Two changes in one tick of the clock cannot be told apart on every kernel.
	time.Sleep(20 * time.Millisecond)
	write(b.t, root, files)
	for _, name := range deleted {
		must(b.t, os.RemoveAll(filepath.Join(root, name)))
	}
	_, err = store.Pack("")
	must(b.t, err)
}

// compared are the lines of a comparison, each as "change kind path oldSize->size", its summary, and its log.
func (b *two) compared() (lines []string, summary Summary, log string) {
	b.t.Helper()
	var out, told bytes.Buffer
	summary, err := Run(b.old, b.now, &out, &told)
	must(b.t, err)
	all := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, line := range all[:len(all)-1] {
		var change Change
		must(b.t, json.Unmarshal([]byte(line), &change))
		lines = append(lines, described(change))
	}
	var last struct{ Summary Summary }
	must(b.t, json.Unmarshal([]byte(all[len(all)-1]), &last))
	if fmt.Sprintf("%+v", last.Summary.Workspace) != fmt.Sprintf("%+v", summary.Workspace) {
		b.t.Errorf("the last line is %s", all[len(all)-1])
	}
	return lines, summary, told.String()
}

func described(change Change) string {
	words := change.Change + " " + change.Kind + " " + change.Path
	if change.OldKind != "" {
		words += " was " + change.OldKind
	}
	if change.OldSize != nil {
		words += fmt.Sprintf(" from %d", *change.OldSize)
	}
	if change.Size != nil {
		words += fmt.Sprintf(" to %d", *change.Size)
	}
	return words
}

func (b *two) mustTell(want ...string) Summary {
	b.t.Helper()
	lines, summary, log := b.compared()
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		b.t.Errorf("it tells\n%s\nand not\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if summary.Unread != 0 || log != "" {
		b.t.Errorf("%d are unread: %s", summary.Unread, log)
	}
	return summary
}
