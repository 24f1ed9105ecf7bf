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
	"sandkeeper.dev/guest/internal/diff"
	"sandkeeper.dev/guest/internal/sandbox"
	"sandkeeper.dev/guest/internal/settings"
	"sandkeeper.dev/guest/internal/transfer"
)

const usage = `usage:
  guest run [--settings JSON] [-- PROGRAM ARGUMENT…]   be the first process of a sandbox
  guest ready                                          exit with 0 once the sandbox is ready
  guest await                                          end once the sandbox is ready
  guest pack                                           keep what changed in the root file system
  guest quiesce                                        pack where something is kept, and sync the volumes
  guest diff [--summary-file PATH] OLD NEW             tell what changed between two volumes, as lines of JSON
  guest install FOLDER                                 put the image's programs into a folder`

const (
	pause = 10 * time.Millisecond
	// The kubelet takes 4096 bytes of a termination message.
	longestSummary = 4000
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(arguments []string) int {
	if len(arguments) > 0 {
		switch rest := arguments[1:]; arguments[0] {
		case "run":
			return live(rest)
		case "ready":
			return ask(control.Ready)
		case "await":
			return await()
		case "pack":
			return keep(control.Pack)
		case "quiesce":
			return keep(control.Quiesce)
		case "diff":
			return compare(rest)
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
		Worktree:    "/.sandkeeper/bin/worktree",
		Out:         os.Stdout,
		Log:         os.Stderr,
	}
	return life.Run()
}

func ask(word string) int {
	var answer control.Answer
	if err := control.Ask(word, &answer); err != nil || !answer.Ready {
		return 1
	}
	return 0
}

// await has no limit of its own: it ends with the container. Only until the first process listens it has to ask again.
func await() int {
	for ask(control.Await) != 0 {
		time.Sleep(pause)
	}
	return 0
}

// keep has the first process pack or quiesce.
func keep(word string) int {
	answer := control.AskToKeep(word)
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		return complain(err)
	}
	if answer.Error != nil {
		return 1
	}
	return 0
}

// compare ends well where not all could be read: the summary says so.
func compare(arguments []string) int {
	flags := flag.NewFlagSet("diff", flag.ContinueOnError)
	file := flags.String("summary-file", "", "a file that gets the summary alone, as short as a termination message")
	if err := flags.Parse(arguments); err != nil {
		return 2
	}
	if flags.NArg() != 2 {
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	summary, err := diff.Run(flags.Arg(0), flags.Arg(1), os.Stdout, os.Stderr)
	if err != nil {
		return complain(err)
	}
	if *file == "" {
		return 0
	}
	content, err := summary.Fit(longestSummary)
	if err == nil {
		err = os.WriteFile(*file, content, 0o644)
	}
	if err != nil {
		return complain(err)
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
