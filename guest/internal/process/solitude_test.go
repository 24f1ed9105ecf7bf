package process

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

const firstProcess = "FIRST_PROCESS_OF_A_TEST"

// asFirstProcess runs a test once more as the first process of a namespace, where it has one like a container's.
func asFirstProcess(t *testing.T, what func()) {
	t.Helper()
	if os.Getenv(firstProcess) == t.Name() {
		what()
		return
	}
	command := exec.Command("unshare", "--pid", "--fork", "--mount-proc", os.Args[0], "-test.run", "^"+t.Name()+"$")
	command.Env = append(os.Environ(), firstProcess+"="+t.Name())
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

func TestWhoeverIsAloneIsSoUntilSomethingElseRuns(t *testing.T) {
	asFirstProcess(t, func() {
		alone := BeginSolitude(0)
		// Threads of our own, which the kernel counts like processes.
		for range 8 {
			go time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		if !alone.Lasts() {
			t.Error("nothing else ran")
		}
		if err := exec.Command("true").Run(); err != nil {
			t.Fatal(err)
		}
		if alone.Lasts() {
			t.Error("something ran, and has ended")
		}
	})
}

func TestWhatRunsBesideEndsAndHindersSolitude(t *testing.T) {
	asFirstProcess(t, func() {
		other := exec.Command("sleep", "60")
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		crowded, asked := BeginSolitude(0), BeginSolitude(other.Process.Pid)
		if asked.Lasts() {
			t.Error("who asked still runs")
		}
		_ = other.Process.Kill()
		_ = other.Wait()
		if crowded.Lasts() {
			t.Error("another one ran when it began")
		}
		if !asked.Lasts() {
			t.Error("only the one that asked ran")
		}
	})
}

func TestNobodyButAFirstProcessIsAlone(t *testing.T) {
	if BeginSolitude(0).Lasts() {
		t.Error("a process of many knows nothing of the others")
	}
}
