// Package settings is what the operator tells the guest, as one JSON value on its command line.
package settings

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"sandkeeper.dev/guest/internal/hidden"
	"sandkeeper.dev/guest/internal/install"
)

// Settings say what a sandbox has installed and whether its changes are kept.
type Settings struct {
	// Packages are installed before the command, by package manager.
	Packages install.Packages `json:"packages,omitzero"`
	// Setup is a shell script that runs after them.
	Setup string `json:"setup,omitempty"`
	// Keep says that packs are read and written.
	Keep bool `json:"keep,omitempty"`
	// PackLimit is how many bytes of changed files a pack may hold, before compression; 0 is no limit.
	PackLimit int64 `json:"packLimit,omitempty"`
	// Reinstall is a mark: until the folder of packs holds it, the pack there is somebody else's and not trusted.
	Reinstall string `json:"reinstall,omitempty"`
	// Workspace is the folder that the sandbox's volume is mounted at.
	Workspace string `json:"workspace,omitempty"`
	// Secrets say where values are that are not told.
	Secrets hidden.Sources `json:"secrets,omitzero"`
	// Git says that the workspace holds a checkout, whose state is told.
	Git bool `json:"git,omitempty"`
}

// Parse reads settings; a field that is not known is an error, since it would be something that silently is not done.
func Parse(content string) (Settings, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(content)))
	decoder.DisallowUnknownFields()
	var settings Settings
	if err := decoder.Decode(&settings); err != nil {
		return Settings{}, fmt.Errorf("settings: %w", err)
	}
	return settings, nil
}

// Asks says whether there is anything to install or to set up.
func (s Settings) Asks() bool {
	return s.Wanted() != Settings{}.Wanted()
}

// Wanted changes with whatever is to be installed and set up.
func (s Settings) Wanted() string {
	content, err := json.Marshal(Settings{Packages: s.Packages, Setup: s.Setup})
	if err != nil {
		panic(err) // Strings always marshal.
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
