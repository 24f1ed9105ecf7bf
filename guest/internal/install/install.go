// Package install brings what a sandbox asks for into its root file system: packages by the image's own package
// managers, then the user's setup script.
//
// Every step can be done again: what a killed run left half done, the next one repairs. Where packages come from is
// the image's own configuration and the container's environment; no repository is named here.
package install

import (
	"context"
	"fmt"
	"io"
	"os"

	"sandkeeper.dev/guest/internal/hidden"
)

// Packages are what to install, by package manager, each in its manager's own syntax.
type Packages struct {
	Apt []string `json:"apt,omitempty"`
	Apk []string `json:"apk,omitempty"`
	Pip []string `json:"pip,omitempty"`
	Npm []string `json:"npm,omitempty"`
}

// Error says which step failed, and what its program said about it.
type Error struct {
	// Step is apt, apk, pip, npm or setup.
	Step string
	// ExitCode is the program's own (128 and the signal's number where one ended it), or a shell's where none ran.
	ExitCode int
	// Lines are the telling ones first, then the last that were printed: never none, printable, 3 kB at most.
	Lines []string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s failed with exit code %d: %s", e.Step, e.ExitCode, e.Lines[0])
}

// Run installs packages and runs the setup script, in this order, in the process's own environment and directory.
//
// What the programs print goes to out as it comes, and without what Secrets hold into an error; a program that setup leaves running goes on printing there after
// Run has returned. A failure is an *Error, and no later step was run. A cancelled context ends the program at work
// and all that it started; the error is then the context's. Nobody else may wait for any child meanwhile.
func Run(ctx context.Context, want Packages, setup string, out io.Writer, secrets hidden.Sources) error {
	environment := os.Environ()
	r := &run{
		ctx: ctx, out: &sharedWriter{to: out}, root: "/", uid: os.Geteuid(), environment: environment,
		mask: secrets.Mask(environment),
	}
	return r.everything(want, setup)
}

// run is one run's state.
type run struct {
	ctx context.Context
	out io.Writer
	// root is where the image's files are, and uid who installs: not the process's own in tests alone.
	root        string
	uid         int
	environment []string
	// mask covers what must not be told.
	mask hidden.Mask
	// step is what a failure is called after, and said what its programs printed so far.
	step string
	said *tail
	// aptReady is whether apt's lists are up to date, and aptLists those that have to go again.
	aptReady bool
	aptLists string
}

func (r *run) everything(want Packages, setup string) error {
	if err := check(want); err != nil {
		return err
	}
	defer r.forgetAptLists()
	for _, each := range []struct {
		name     string
		packages []string
		install  func([]string) error
	}{
		{"apt", want.Apt, r.apt},
		{"apk", want.Apk, r.apk},
		{"pip", want.Pip, r.pip},
		{"npm", want.Npm, r.npm},
	} {
		if len(each.packages) == 0 {
			continue
		}
		r.begin(each.name, installers)
		if err := each.install(each.packages); err != nil {
			return err
		}
	}
	r.forgetAptLists()
	return r.setup(setup)
}

// begin starts a step, whose failure is told by the first lines that match the patterns.
func (r *run) begin(step string, patterns []pattern) {
	r.step, r.said = step, newTail(patterns, r.mask)
}

// failed is the error of the step at work; without a line of its own it tells what was printed.
func (r *run) failed(code int, line string) error {
	lines := r.said.lines()
	if line != "" {
		lines = []string{clean(line)}
	}
	if len(lines) == 0 {
		lines = []string{"nothing was printed"}
	}
	return &Error{Step: r.step, ExitCode: code, Lines: lines}
}
