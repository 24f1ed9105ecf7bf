// Package process is what makes a program a good first process of a container.
package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit codes as shells and container engines use them.
const (
	NotExecutable = 126
	NotFound      = 127
	bySignal      = 128
)

// What programs are looked for in where the container has no PATH, as container runtimes do.
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Signals is every signal that this process gets, but those that are about the Go runtime and about children.
type Signals chan os.Signal

// Receive begins to receive signals; before that, the kernel keeps the first process of a container from all of them.
//
// None is ignored: children would inherit that.
func Receive() Signals {
	signals := make(Signals, 64)
	signal.Notify(signals)
	// The Go runtime interrupts its own threads by SIGURG.
	signal.Reset(unix.SIGURG)
	return signals
}

// What images name as the signal that stops them, servers and systemd among them: the runtime sends that instead of
// SIGTERM, and kills what does not heed it.
var stopping = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGWINCH, sigRTMIN + 3}

// The first real-time signal, as C libraries count: the kernel's first two are theirs.
const sigRTMIN = syscall.Signal(34)

// Ends says whether a signal asks for the end, and the exit code that stands for it.
func Ends(received os.Signal) (int, bool) {
	number, ok := received.(syscall.Signal)
	return bySignal + int(number), ok && slices.Contains(stopping, received)
}

// Run starts a command, forwards signals to it, and returns its exit code when it has ended, with an error where it could
// not be started. Meanwhile it reaps whatever ends and has no parent. Without a command it waits for the signal to end.
func Run(command []string, signals Signals) (int, error) {
	if len(command) == 0 {
		return stay(signals), nil
	}
	child, err := start(command)
	if err != nil {
		return codeOf(err), err
	}
	// Children that ended before signals were received have sent theirs already.
	code, ended := reap(child)
	for !ended {
		received := <-signals
		// A pipe that is broken is our own: whoever wrote to another one has got the signal for it.
		if received != unix.SIGCHLD && received != unix.SIGPIPE {
			// A child that has ended and was not reaped yet is still there to be signalled: nobody else gets it.
			_ = unix.Kill(child, received.(syscall.Signal))
		}
		// After any signal: in a flood of others, that of a child may have been dropped.
		code, ended = reap(child)
	}
	return code, nil
}

func stay(signals Signals) int {
	reap(0)
	for received := range signals {
		if code, ends := Ends(received); ends {
			return code
		}
		reap(0)
	}
	return 0
}

// reap takes in every child that has ended, and tells how one of them did.
func reap(child int) (code int, ended bool) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return code, ended
		}
		if pid == child {
			code, ended = codeOfStatus(status), true
		}
	}
}

func codeOfStatus(status unix.WaitStatus) int {
	if status.Signaled() {
		return bySignal + int(status.Signal())
	}
	return status.ExitStatus()
}

// start starts a command in a process group of its own, the terminal's where there is one.
func start(command []string) (int, error) {
	program, err := Find(command[0])
	if err != nil {
		return 0, err
	}
	_, err = unix.IoctlGetTermios(0, unix.TCGETS)
	attributes := &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Foreground: err == nil, Ctty: 0},
	}
	child, err := syscall.ForkExec(program, command, attributes)
	if err != nil {
		return 0, &fs.PathError{Op: "exec", Path: program, Err: err}
	}
	return child, nil
}

// Find returns the path of a program as container runtimes find it: by PATH unless its name has a slash.
func Find(name string) (string, error) {
	if _, set := os.LookupEnv("PATH"); !set {
		if err := os.Setenv("PATH", usualPath); err != nil {
			return "", err
		}
	}
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) {
		return path, nil
	}
	return path, err
}

// codeOf returns the exit code of a command that could not be started.
func codeOf(err error) int {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return NotFound
	}
	return NotExecutable
}

// EndOthers ends every other process of the container; only its first process can.
func EndOthers() {
	if os.Getpid() != 1 {
		return
	}
	_ = unix.Kill(-1, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
			return
		}
	}
}
