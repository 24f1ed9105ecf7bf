// The worktree program brings a sandbox's repository into its workspace before the sandbox starts, hands Git in the sandbox
// the login of that repository's server, and tells where the checkout stands.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	_ "golang.org/x/crypto/x509roots/fallback"

	"sandkeeper.dev/guest/internal/checkout"
	"sandkeeper.dev/guest/internal/credential"
)

const usage = `usage:
  worktree prepare --repository URL --branch NAME [--ref REF] [--secret FOLDER] [--config FILE] FOLDER
                                     bring the repository into a folder, or its branch to what is there
  worktree credential --repository URL --secret FOLDER get|store|erase
                                     answer Git (gitcredentials(7))
  worktree state FOLDER              tell where the checkout in a folder stands, as lines of JSON`

const termination = "/dev/termination-log"

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(arguments []string) int {
	if len(arguments) > 0 {
		switch rest := arguments[1:]; arguments[0] {
		case "prepare":
			return prepare(rest)
		case "credential":
			return answer(rest)
		case "state":
			return state(rest)
		}
	}
	fmt.Fprintln(os.Stderr, usage)
	return 2
}

func prepare(arguments []string) int {
	// Whatever user the sandbox's image runs as, the workspace's group is one of its own.
	syscall.Umask(0o002)
	wanted := checkout.Wanted{Log: log.New(os.Stderr, "worktree: ", 0)}
	flags := flag.NewFlagSet("prepare", flag.ContinueOnError)
	flags.StringVar(&wanted.Repository, "repository", "", "address of the repository")
	flags.StringVar(&wanted.Ref, "ref", "", "where a new branch begins")
	flags.StringVar(&wanted.Branch, "branch", "", "the sandbox's branch")
	secret := flags.String("secret", "", "folder with the login")
	settings := flags.String("config", "", "file for what Git has to know of the server")
	if err := flags.Parse(arguments); err != nil || flags.NArg() != 1 {
		return 2
	}
	wanted.Secret = credential.Secret(*secret)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err := configure(*settings, wanted.Repository, wanted.Secret)
	if err == nil {
		err = checkout.Prepare(ctx, flags.Arg(0), wanted)
	}
	if err != nil {
		return fail(checkout.Reason(err, wanted))
	}
	return 0
}

// configure tells Git of the server's own authorities, where the Secret holds some.
func configure(file, repository string, secret credential.Secret) error {
	if file == "" {
		return nil
	}
	origin, err := credential.OriginOf(repository)
	if err != nil {
		return err
	}
	authorities, err := secret.Authorities()
	if err != nil {
		return err
	}
	content := ""
	if authorities != nil {
		content = fmt.Sprintf("[http %q]\n\tsslCAInfo = %s\n", origin, filepath.Join(string(secret), credential.Authority))
	}
	return os.WriteFile(file, []byte(content), 0o644)
}

// fail leaves the reason where the operator reads it, and in the log.
func fail(reason string) int {
	fmt.Fprintf(os.Stderr, "worktree: %s\n", reason)
	if message, err := json.Marshal(map[string]string{"worktree": "GitFailed", "reason": reason}); err == nil {
		_ = os.WriteFile(termination, message, 0o644)
	}
	return 1
}

func answer(arguments []string) int {
	flags := flag.NewFlagSet("credential", flag.ContinueOnError)
	repository := flags.String("repository", "", "address of the repository")
	secret := flags.String("secret", "", "folder with the login")
	if err := flags.Parse(arguments); err != nil || flags.NArg() != 1 {
		return 2
	}
	origin, err := credential.OriginOf(*repository)
	if err == nil {
		err = credential.Answer(flags.Arg(0), origin, credential.Secret(*secret), os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "worktree: %v\n", err)
		return 1
	}
	return 0
}

func state(arguments []string) int {
	if len(arguments) != 1 {
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	if err := checkout.Tell(arguments[0], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n", err)
		return 1
	}
	return 0
}
