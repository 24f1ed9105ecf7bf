package pack

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// However its folders fall to those who survey it, an image is the same and so is what is remembered of it.
func TestSeveralWhoSurveySeeWhatASingleWalkVisits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image")
	must(t, os.Mkdir(path, 0o755))
	chance := &chance{rand.New(rand.NewPCG(1, 5)), path}
	chance.happen(t, 2000)
	alone := walked(t, path)

	for range 50 {
		root, err := OpenRoot(path)
		must(t, err)
		index, err := NewIndex(root)
		must(t, err)
		root.Close()
		if !maps.EqualFunc(index.marks(), alone.marks(), func(a, b *mark) bool { return *a == *b }) {
			t.Fatalf("they saw %v, and a walk %v", slices.Sorted(maps.Keys(index.marks())), slices.Sorted(maps.Keys(alone.marks())))
		}
		if index.image() != alone.image() {
			t.Fatalf("the image is %s, and by a walk %s", index.image(), alone.image())
		}
	}
}

// Nor does it matter to what is found changed, and in which order: a folder comes after what is in it.
func TestSeveralWhoCompareFindTheSameEveryTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root")
	must(t, os.Mkdir(path, 0o755))
	chance := &chance{rand.New(rand.NewPCG(2, 5)), path}
	chance.happen(t, 1000)
	index := walked(t, path)
	chance.happen(t, 1000)
	first := compared(t, index, path)

	at := 0
	for _, name := range pathsIn(t, path) {
		if at < len(first.changed) && first.changed[at].path == name {
			at++
		}
	}
	if at == 0 || at < len(first.changed) || len(first.deleted) == 0 {
		t.Fatalf("%d of %d changes are in the order of a walk, %d are gone", at, len(first.changed), len(first.deleted))
	}
	for range 50 {
		if again := compared(t, index, path); !reflect.DeepEqual(again, first) {
			t.Fatalf("it found %v, and before %v", again, first)
		}
	}
}

func compared(t *testing.T, index *Index, path string) *changes {
	t.Helper()
	root, err := OpenRoot(path)
	must(t, err)
	defer root.Close()
	found, err := index.compare(root)
	must(t, err)
	return found
}

// pathsIn are the paths of one walk, in its order.
func pathsIn(t *testing.T, path string) (paths []string) {
	t.Helper()
	root, err := OpenRoot(path)
	must(t, err)
	defer root.Close()
	must(t, root.walk(func(found *entry) error {
		paths = append(paths, found.path)
		return nil
	}))
	return paths
}

// walked is the index of a root file system by one walk.
func walked(t *testing.T, path string) *Index {
	t.Helper()
	root, err := OpenRoot(path)
	must(t, err)
	defer root.Close()
	all := &stretch[imaged]{}
	must(t, root.walk(func(found *entry) error {
		all.seen.add(found)
		return nil
	}))
	return indexOf(all)
}

func TestASurveyTellsWhatItCouldNotRead(t *testing.T) {
	path := aFewFiles(t)
	root, err := OpenRoot(path)
	must(t, err)
	defer root.Close()
	must(t, os.RemoveAll(path))

	if _, err := NewIndex(root); err == nil {
		t.Error("it says nothing")
	}
}
