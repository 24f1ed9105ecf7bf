package install

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	codeUsage     = 2
	codeForbidden = 126
	codeMissing   = 127
	codeSignal    = 128
	// What a program's end leaves unread comes at once; more comes only from those that it left running.
	drain = time.Second
	// A package manager that is told to end may be unpacking.
	grace = 5 * time.Second
)

// has tells whether a program is on the path.
func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// quiet runs a program for its answer alone.
func (r *run) quiet(program string, arguments ...string) (string, bool) {
	command := exec.CommandContext(r.ctx, program, arguments...)
	command.Env = r.environment
	answer, err := command.Output()
	return strings.TrimSpace(string(answer)), err == nil
}

// execute runs a program of the step at work; its output is shown and kept.
//
// Variables, as `NAME=value`, hold where the environment has none of that name.
func (r *run) execute(variables []string, program string, arguments ...string) error {
	command := exec.CommandContext(r.ctx, program, arguments...)
	command.Env = append(variables[:len(variables):len(variables)], r.environment...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = grace
	err := r.follow(command)
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return r.failed(startCode(err), err.Error())
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return r.failed(codeSignal+int(status.Signal()), "")
	}
	return r.failed(exit.ExitCode(), "")
}

// follow runs a command to its end, and reads its output for as long as anybody writes any.
func (r *run) follow(command *exec.Cmd) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	command.Stdout, command.Stderr = writer, writer
	err = command.Start()
	_ = writer.Close()
	ended := make(chan struct{})
	go func(said *tail) {
		defer close(ended)
		defer func() { _ = reader.Close() }()
		_, _ = io.Copy(io.MultiWriter(said, r.out), reader)
	}(r.said)
	if err != nil {
		return err
	}
	err = command.Wait()
	if r.ctx.Err() != nil {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
	}
	select {
	case <-ended:
	case <-time.After(drain):
	}
	return err
}

// startCode is what a shell would exit with for a program that did not start.
func startCode(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return codeForbidden
	}
	return codeMissing
}
