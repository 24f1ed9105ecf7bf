package sandbox

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sandkeeper.dev/guest/internal/settings"
)

func TestWhatSecretsHoldIsInTheLogAndNotInTheReport(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "token"), []byte("file-v4lue"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AI_KEY", "key-v4lue")
	t.Setenv("DB_PASSWORD", "password-v4lue")
	t.Setenv("DB_NAME", "customers")
	script := `set -x; echo "$AI_KEY $DB_PASSWORD $DB_NAME"; cat ` + folder + `/token; exit 3`
	given, err := settings.Parse(`{"setup": "` + strings.ReplaceAll(script, `"`, `\"`) + `", "secrets": {"variables": ["AI_KEY"],
		"prefixes": ["DB_"], "plain": ["DB_NAME"], "folders": ["` + folder + `"]}}`)
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	s := &Sandbox{Settings: given, Termination: filepath.Join(t.TempDir(), "report"), Out: &out, Log: &log}
	step := ""
	if code := s.fail(step, s.fill(context.Background(), &step)); code != 3 {
		t.Errorf("it ends with %d: %s", code, log.String())
	}
	report, err := os.ReadFile(s.Termination)
	if err != nil {
		t.Fatal(err)
	}
	for _, told := range []string{string(report), log.String()} {
		if strings.Contains(told, "v4lue") {
			t.Error(told)
		}
	}
	if !strings.Contains(string(report), "*** *** customers") || !strings.Contains(out.String(), "password-v4lue") {
		t.Errorf("%s, of %s", report, out.String())
	}
}
