package sandbox

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"sandkeeper.dev/guest/internal/process"
)

func toldToEnd() process.Signals {
	signals := make(process.Signals, 1)
	signals <- unix.SIGTERM
	return signals
}

func TestWhoeverEndsASandboxDoesNotWaitForItsUnpacking(t *testing.T) {
	s := &Sandbox{}
	never := make(chan struct{})
	code, ended := s.prepare(toldToEnd(), func(context.Context, *string) error {
		<-never
		return nil
	})
	if code != 143 || !ended {
		t.Errorf("it ends with %d: %v", code, ended)
	}
}

func TestAnInstallerIsToldToEndAndWaitedFor(t *testing.T) {
	s := &Sandbox{}
	s.installing.Store(true)
	told := false
	code, ended := s.prepare(toldToEnd(), func(ctx context.Context, _ *string) error {
		<-ctx.Done()
		told = true
		return ctx.Err()
	})
	if code != 143 || !ended || !told {
		t.Errorf("it ends with %d: %v, and was told: %v", code, ended, told)
	}
}
