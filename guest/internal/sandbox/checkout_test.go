package sandbox

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sandkeeper.dev/guest/internal/control"
	"sandkeeper.dev/guest/internal/settings"
)

// program makes a stand-in for the program that looks at the checkout.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worktree")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const tells = `echo '{"branch":"b","commit":"c"}'
`

func TestWhereTheCheckoutStandsIsToldByBothWords(t *testing.T) {
	for at, word := range []string{control.Pack, control.Quiesce, control.Pack, control.Quiesce} {
		s := keeping(t, settings.Settings{Keep: at < 2, Git: true})
		s.Worktree = program(t, tells+`echo '{"branch":"b","commit":"c","dirtyFiles":'$(ls "$2" | wc -l)'}'`)
		write(t, s.Settings.Workspace, "file", "")

		told, err := json.Marshal(s.asked(t, word))
		if err != nil || !strings.Contains(string(told), `"git":{"branch":"b","commit":"c","dirtyFiles":1}`) {
			t.Errorf("%s answers %s: %v", word, told, err)
		}
	}
}

func TestASandboxWithoutACheckoutTellsOfNone(t *testing.T) {
	s := keeping(t, settings.Settings{Keep: true})
	if answer := s.asked(t, control.Quiesce); answer.Git != nil {
		t.Errorf("it answers %+v", answer.Git)
	}
}

func TestWhatIsNotKnownOfACheckoutKeepsNothingFromBeingKept(t *testing.T) {
	for name, c := range map[string]struct{ script, told, logged string }{
		"it takes for ever":       {tells + "exec sleep 60", `{"branch":"b","commit":"c"}`, "within 2s"},
		"it can't be looked at":   {"echo no folder >&2; exit 1", "null", "no folder"},
		"it fails in the middle":  {tells + "echo broken >&2; exit 1", `{"branch":"b","commit":"c"}`, "broken"},
		"what is told is no JSON": {"echo nothing", "null", "nothing was told"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := keeping(t, settings.Settings{Git: true}), &bytes.Buffer{}
			s.Worktree, s.Log = program(t, c.script), log

			answer := s.asked(t, control.Quiesce)

			told, err := json.Marshal(answer.Git)
			if err != nil || string(told) != c.told || answer.Error != nil || *answer.PauseSeconds > 1 {
				t.Errorf("it answers %+v with %s: %v", answer, told, err)
			}
			if !strings.Contains(log.String(), c.logged) {
				t.Errorf("it logs %q", log)
			}
		})
	}
}
