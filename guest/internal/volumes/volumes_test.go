package volumes

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsNotThereIsLeftOutAndOneFileSystemIsSyncedOnce(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	v, err := Open(folder, filepath.Join(folder, "nothing"), filepath.Join(folder, "inside"), "/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if len(v.folders) != 2 || v.folders[0].Name() != folder || v.folders[1].Name() != "/proc" {
		t.Errorf("%d are open", len(v.folders))
	}
	if took, err := v.Sync(); err != nil || took <= 0 {
		t.Errorf("it took %v: %v", took, err)
	}
}

func TestWhatIsNoFolderIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("/proc", file); err == nil {
		t.Error("it was opened")
	}
}

func TestAFileSystemThatCannotBeSyncedIsNamed(t *testing.T) {
	folder := t.TempDir()
	v, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	v.Close()
	if _, err := v.Sync(); err == nil {
		t.Error("it was synced")
	}
}
