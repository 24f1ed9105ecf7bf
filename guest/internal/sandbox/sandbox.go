// Package sandbox is the life of a sandbox's container from its first process's view: bring back or install what was
// asked for, run the command, keep what changed.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"sandkeeper.dev/guest/internal/control"
	"sandkeeper.dev/guest/internal/install"
	"sandkeeper.dev/guest/internal/pack"
	"sandkeeper.dev/guest/internal/process"
	"sandkeeper.dev/guest/internal/settings"
)

// Sandbox is one container with the guest as its first process.
type Sandbox struct {
	// Settings are the operator's.
	Settings settings.Settings
	// Command is what runs; empty for a sandbox that only stays.
	Command []string
	// Root is the path of its root file system.
	Root string
	// Folder is where packs are kept.
	Folder string
	// Termination is the file that the kubelet reads when the container has ended.
	Termination string
	// Worktree is the program that looks at the checkout.
	Worktree string
	// Out and Log take what installers print, and what the guest itself has to say.
	Out, Log io.Writer

	keeper     *keeper
	installing atomic.Bool
	ready      atomic.Bool
	// begun is closed once it is ready.
	begun chan struct{}
}

// Run lives the life, and returns the exit code.
func (s *Sandbox) Run() int {
	signals := process.Receive()
	s.begun = make(chan struct{})
	listener, err := control.Listen(s.answer)
	if err != nil {
		return s.fail("guest", err)
	}
	defer listener.Close()
	if code, ended := s.prepare(signals, s.fill); ended {
		return code
	}
	s.ready.Store(true)
	close(s.begun)
	code, err := process.Run(s.Command, signals)
	if err != nil {
		s.say("%v", err)
		s.report(report{Step: "command", ExitCode: code, Lines: err.Error()})
		return code
	}
	s.keepAtEnd()
	return code
}

// answer is what programs in the container get to know.
func (s *Sandbox) answer(word string, asking int) any {
	switch {
	case word == control.Ready:
		return control.Answer{Ready: s.ready.Load()}
	case word == control.Await:
		<-s.begun
		return control.Answer{Ready: true}
	case word != control.Pack && word != control.Quiesce:
		return failed("no such word")
	case !s.ready.Load():
		return failed("the sandbox is not ready yet")
	case word == control.Quiesce:
		return s.quiesce(asking)
	case s.keeper == nil && !s.Settings.Git:
		return failed("this sandbox keeps nothing of its root file system")
	}
	return s.packedAlone(asking)
}

// prepare does what stands before the command, and tells whether and how the sandbox ends with it.
func (s *Sandbox) prepare(signals process.Signals, fill func(context.Context, *string) error) (code int, ended bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	step := "unpack"
	go func() { done <- fill(ctx, &step) }()
	for {
		select {
		case err := <-done:
			if ended {
				return code, true
			}
			if err != nil {
				return s.fail(step, err), true
			}
			return 0, false
		case received := <-signals:
			number, ends := process.Ends(received)
			// Nothing but an installer has to end well: half a root file system goes, and half a pack is never used.
			if ends && !s.installing.Load() {
				return number, true
			}
			if ends {
				code, ended = number, true
				cancel()
			}
		}
	}
}

// fill brings the root file system to what was asked for.
func (s *Sandbox) fill(ctx context.Context, step *string) error {
	installed, wanted := "", s.Settings.Wanted()
	if s.Settings.Keep {
		var err error
		if s.keeper, installed, err = openKeeper(s, wanted); err != nil {
			return err
		}
	}
	if !s.Settings.Asks() || installed == wanted {
		return s.begin(ctx)
	}
	*step = "install"
	s.installing.Store(true)
	err := install.Run(ctx, s.Settings.Packages, s.Settings.Setup, s.Out, s.Settings.Secrets)
	s.installing.Store(false)
	if err != nil {
		return err
	}
	if s.keeper == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	*step = "pack"
	_, err = s.keeper.pack(0)
	return s.tolerate(err, "what was installed is not packed")
}

// begin is the start of a sandbox that has nothing to install, or no more.
func (s *Sandbox) begin(ctx context.Context) error {
	if s.keeper == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return s.tolerate(s.keeper.trust(), "the next start can't tell its pack from a former one's")
}

// tolerate forgives a volume without room, which keeps nobody out: whoever is to make room has to get in, and what was
// installed is there. It is packed the next time, or installed again.
func (s *Sandbox) tolerate(err error, what string) error {
	var failure *pack.Failure
	if errors.As(err, &failure) && failure.Reason == pack.VolumeFull {
		s.say("it starts though %s: %v", what, err)
		return nil
	}
	return err
}

// keepAtEnd packs what changed since the last time; the command has ended, and what it left behind has to.
func (s *Sandbox) keepAtEnd() {
	if s.keeper == nil || s.keeper.isUpToDate() {
		return
	}
	process.EndOthers()
	if _, err := s.keeper.pack(0); err != nil {
		s.say("not packed: %v", err)
	}
}

func (s *Sandbox) say(format string, words ...any) {
	fmt.Fprintf(s.Log, "guest: "+format+"\n", words...)
}

// fail tells the reader of the log and the operator, and returns the exit code.
func (s *Sandbox) fail(step string, err error) int {
	var installer *install.Error
	if errors.As(err, &installer) {
		s.say("%v", err)
		s.report(report{Step: installer.Step, ExitCode: installer.ExitCode, Lines: joined(installer.Lines)})
		return installer.ExitCode
	}
	s.say("%s: %v", step, err)
	s.report(report{Step: step, ExitCode: 1, Lines: err.Error()})
	return 1
}
