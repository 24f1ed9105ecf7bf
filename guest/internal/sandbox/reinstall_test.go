package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sandkeeper.dev/guest/internal/control"
	"sandkeeper.dev/guest/internal/settings"
)

const mark = "0123456789abcdef"

// start begins the life of a sandbox on a volume, with a fresh root file system.
func start(t *testing.T, folder, setup, reinstall string) (*Sandbox, error) {
	t.Helper()
	root := t.TempDir()
	s := &Sandbox{Root: root, Folder: folder, Log: t.Output(), Out: t.Output()}
	s.Settings = settings.Settings{Keep: true, Reinstall: reinstall}
	if setup != "" {
		// The same setup for every root, since it is told apart by its text.
		t.Setenv("SANDBOX_ROOT", root)
		s.Settings.Setup = `cd "$SANDBOX_ROOT"; ` + setup
	}
	step := ""
	err := s.fill(context.Background(), &step)
	s.ready.Store(err == nil)
	return s, err
}

func started(t *testing.T, folder, setup, reinstall string) *Sandbox {
	t.Helper()
	s, err := start(t, folder, setup, reinstall)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// names are those in a folder, in order.
func names(t *testing.T, folder string) string {
	t.Helper()
	found, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, each := range found {
		all = append(all, each.Name())
	}
	return strings.Join(all, " ")
}

// left is a volume with a pack that a former tenant made.
func left(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	s := started(t, folder, "", "")
	write(t, s.Root, "evil", "from the former tenant")
	s.asked(t, control.Pack)
	if found := names(t, folder); found != "pack" {
		t.Fatalf("%s is on the volume", found)
	}
	return folder
}

func TestAFormerTenantsPackIsNotUsedAndAllIsInstalledOnce(t *testing.T) {
	folder, setup := left(t), "echo installed >> tool"

	first := started(t, folder, setup, mark)
	if found := names(t, first.Root); found != "tool" {
		t.Errorf("the root has %s", found)
	}
	if found := names(t, folder); found != "pack reinstalled" {
		t.Errorf("the volume has %s", found)
	}
	write(t, first.Root, "mine", "done by hand")
	first.asked(t, control.Pack)

	second := started(t, folder, setup, mark)
	content, err := os.ReadFile(filepath.Join(second.Root, "tool"))
	if err != nil || string(content) != "installed\n" || names(t, second.Root) != "mine tool" {
		t.Errorf("the root has %s, and the tool is %q: %v", names(t, second.Root), content, err)
	}
	if third := started(t, folder, setup, "another"+mark); names(t, third.Root) != "tool" {
		t.Errorf("after another mark the root has %s", names(t, third.Root))
	}
}

func TestWithoutAMarkTheFormerPackIsUsed(t *testing.T) {
	if s := started(t, left(t), "", ""); names(t, s.Root) != "evil" {
		t.Errorf("the root has %s", names(t, s.Root))
	}
}

func TestWhereNothingIsInstalledTheMarkIsThereFromTheStart(t *testing.T) {
	folder := left(t)

	s := started(t, folder, "", mark)
	if names(t, s.Root) != "" || names(t, folder) != "pack.refused reinstalled" {
		t.Errorf("the root has %s, the volume %s", names(t, s.Root), names(t, folder))
	}
	write(t, s.Root, "mine", "done by hand")
	s.asked(t, control.Pack)
	if again := started(t, folder, "", mark); names(t, again.Root) != "mine" {
		t.Errorf("the root has %s", names(t, again.Root))
	}
}

func TestAnInstallationThatFailsLeavesNoMark(t *testing.T) {
	folder := left(t)
	if _, err := start(t, folder, "echo half > tool; exit 3", mark); err == nil {
		t.Error("it started")
	}
	if found := names(t, folder); found != "pack.refused" {
		t.Errorf("the volume has %s", found)
	}
	if s := started(t, folder, "echo whole > tool", mark); names(t, s.Root) != "tool" {
		t.Errorf("the root has %s", names(t, s.Root))
	}
}

func TestWhoeverGuessesAMarkGainsNothing(t *testing.T) {
	folder := left(t)
	write(t, folder, "reinstalled", mark[:len(mark)-1]+"x")

	if s := started(t, folder, "", mark); names(t, s.Root) != "" {
		t.Errorf("the root has %s", names(t, s.Root))
	}
}
