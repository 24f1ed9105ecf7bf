package process

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestACommandIgnoresNoSignalAndItsEndIsNotMissedInAFloodOfOthers(t *testing.T) {
	signals := Receive()
	flood := make(Signals, cap(signals))
	for range cap(flood) {
		flood <- unix.SIGCONT
	}

	// The end of the command is told to another channel: as if it had been dropped, and more signals came.
	go func() {
		for range signals {
			flood <- unix.SIGCONT
		}
	}()
	code, err := Run([]string{"grep", "-q", "^SigIgn:.0*$", "/proc/self/status"}, flood)
	if err != nil || code != 0 {
		t.Errorf("it ended with %d: %v", code, err)
	}
}

func TestWhatImagesNameAsStopSignalEndsASandboxThatOnlyStays(t *testing.T) {
	for _, number := range stopping {
		signals := make(Signals, 3)
		signals <- unix.SIGHUP
		signals <- number
		if code, _ := Run(nil, signals); code != bySignal+int(number.(unix.Signal)) {
			t.Errorf("%v gives %d", number, code)
		}
	}
}
