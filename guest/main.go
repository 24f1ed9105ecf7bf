// The guest is the first process of a sandbox: it installs and brings back what the sandbox has, runs its command as a
// good first process does, and keeps what changed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"sandkeeper.dev/guest/internal/control"
	"sandkeeper.dev/guest/internal/sandbox"
	"sandkeeper.dev/guest/internal/settings"
	"sandkeeper.dev/guest/internal/transfer"
)

const usage = `usage:
  guest run [--settings JSON] [-- PROGRAM ARGUMENT…]   be the first process of a sandbox
  guest ready                                          exit with 0 once the sandbox is ready
  guest await                                          end once the sandbox is ready
  guest pack                                           keep what changed in the root file system
  guest install FOLDER                                 put the image's programs into a folder`

const pause = 10 * time.Millisecond

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(arguments []string) int {
	if len(arguments) > 0 {
		switch rest := arguments[1:]; arguments[0] {
		case "run":
			return live(rest)
		case "ready":
			return ready()
		case "await":
			return await()
		case "pack":
			return pack()
		case "install":
			return install(rest)
		}
	}
	fmt.Fprintln(os.Stderr, usage)
	return 2
}

func live(arguments []string) int {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	given := flags.String("settings", "{}", "what is installed and kept, as JSON")
	if err := flags.Parse(arguments); err != nil {
		return 2
	}
	parsed, err := settings.Parse(*given)
	if err != nil {
		return complain(err)
	}
	life := &sandbox.Sandbox{
		Settings:    parsed,
		Command:     flags.Args(),
		Root:        "/",
		Folder:      "/.sandkeeper/system",
		Termination: "/dev/termination-log",
		Out:         os.Stdout,
		Log:         os.Stderr,
	}
	return life.Run()
}

func ready() int {
	var answer control.Answer
	if err := control.Ask(control.Ready, &answer); err != nil || !answer.Ready {
		return 1
	}
	return 0
}

// await has no limit of its own: it ends with the container.
func await() int {
	for ready() != 0 {
		time.Sleep(pause)
	}
	return 0
}

func pack() int {
	answer := control.AskToPack()
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		return complain(err)
	}
	if answer.Error != nil {
		return 1
	}
	return 0
}

func install(arguments []string) int {
	if len(arguments) != 1 {
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	if err := transfer.Install("/", arguments[0]); err != nil {
		return complain(err)
	}
	return 0
}

func complain(err error) int {
	fmt.Fprintf(os.Stderr, "guest: %v\n", err)
	return 1
}
