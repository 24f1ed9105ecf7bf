package sandbox

import (
	"encoding/json"
	"os"
	"strings"
)

// The kubelet takes 4096 bytes of a termination message.
const longestReport = 4000

// report is what the operator gets to know of a sandbox that could not start.
type report struct {
	Guest    string `json:"guest"`
	Step     string `json:"step"`
	ExitCode int    `json:"exitCode"`
	Lines    string `json:"lines"`
}

func joined(lines []string) string { return strings.Join(lines, "\n") }

func (s *Sandbox) report(content report) {
	content.Guest = "SetupFailed"
	if err := os.WriteFile(s.Termination, bounded(content), 0o644); err != nil {
		s.say("%v", err)
	}
}

// bounded returns a report as JSON, shortened at the end of its lines until it fits.
func bounded(content report) []byte {
	content.Lines = strings.ToValidUTF8(content.Lines, "?")
	for {
		encoded, err := json.Marshal(content)
		if err != nil {
			return nil
		}
		excess := len(encoded) - longestReport
		if excess <= 0 || content.Lines == "" {
			return encoded
		}
		kept := max(0, len(content.Lines)-max(1, excess/6))
		content.Lines = strings.ToValidUTF8(content.Lines[:kept], "")
	}
}
