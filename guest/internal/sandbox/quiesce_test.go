package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sandkeeper.dev/guest/internal/control"
	"sandkeeper.dev/guest/internal/pack"
	"sandkeeper.dev/guest/internal/settings"
)

// keeping is a sandbox that is ready, with a root file system and volumes of its own.
func keeping(t *testing.T, given settings.Settings) *Sandbox {
	t.Helper()
	s := &Sandbox{Settings: given, Root: t.TempDir(), Folder: t.TempDir(), Log: t.Output()}
	s.Settings.Workspace = t.TempDir()
	if given.Keep {
		keeper, _, err := openKeeper(s, s.Settings.Wanted())
		if err != nil {
			t.Fatal(err)
		}
		s.keeper = keeper
	}
	s.ready.Store(true)
	return s
}

func (s *Sandbox) asked(t *testing.T, word string) control.Answer {
	t.Helper()
	answer, ok := s.answer(word, 0).(control.Answer)
	if !ok {
		t.Fatal("it answers something else")
	}
	return answer
}

func write(t *testing.T, folder, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestASandboxThatKeepsPacksAndTellsItsPause(t *testing.T) {
	s := keeping(t, settings.Settings{Keep: true})
	write(t, s.Root, "file", "new")

	quiet := s.asked(t, control.Quiesce)
	if quiet.Error != nil || quiet.PauseSeconds == nil || *quiet.PauseSeconds <= 0 || quiet.Entries != 1 {
		t.Errorf("it answers %+v", quiet)
	}
	if packed := s.asked(t, control.Pack); *packed.Result != *quiet.Result || packed.PauseSeconds != nil {
		t.Errorf("packing answers %+v after that", packed)
	}
}

func TestASandboxThatKeepsNothingIsQuiescedAllTheSame(t *testing.T) {
	told, err := json.Marshal(keeping(t, settings.Settings{}).asked(t, control.Quiesce))
	if err != nil || !strings.Contains(string(told), `"entries":0`) || !strings.Contains(string(told), `"pauseSeconds":0.`) {
		t.Errorf("it answers %s: %v", told, err)
	}
}

func TestWhatKeepsItFromPackingIsToldInsteadOfAPause(t *testing.T) {
	s := keeping(t, settings.Settings{Keep: true, PackLimit: 1})
	write(t, s.Root, "file", "too much")

	answer := s.asked(t, control.Quiesce)
	if answer.Error == nil || answer.Error.Reason != pack.TooLarge || answer.PauseSeconds != nil {
		t.Errorf("it answers %+v", answer)
	}
}

func TestAVolumeThatCannotBeOpenedIsTold(t *testing.T) {
	s := keeping(t, settings.Settings{})
	write(t, s.Settings.Workspace, "file", "")
	s.Settings.Workspace = filepath.Join(s.Settings.Workspace, "file")

	answer := s.asked(t, control.Quiesce)
	if answer.Error == nil || !strings.Contains(answer.Error.Message, s.Settings.Workspace) {
		t.Errorf("it answers %+v", answer)
	}
}

func TestNobodyIsQuiescedBeforeItIsReady(t *testing.T) {
	s := keeping(t, settings.Settings{})
	s.ready.Store(false)

	for _, word := range []string{control.Pack, control.Quiesce} {
		answer := s.asked(t, word)
		if answer.Error == nil || answer.Error.Message != "the sandbox is not ready yet" {
			t.Errorf("%s answers %+v", word, answer)
		}
	}
}
