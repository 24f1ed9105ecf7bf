package pack

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
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
		if !maps.Equal(index.marks, alone.marks) {
			t.Fatalf("they saw %v, and a walk %v", slices.Sorted(maps.Keys(index.marks)), slices.Sorted(maps.Keys(alone.marks)))
		}
		if index.image != alone.image {
			t.Fatalf("the image is %s, and by a walk %s", index.image, alone.image)
		}
	}
}

// walked is the index of a root file system by one walk.
func walked(t *testing.T, path string) *Index {
	t.Helper()
	root, err := OpenRoot(path)
	must(t, err)
	defer root.Close()
	all := &stretch{}
	must(t, root.walk(func(found *entry) error {
		all.add(found)
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
