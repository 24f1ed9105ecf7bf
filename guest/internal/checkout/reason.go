package checkout

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing/transport"

	"sandkeeper.dev/guest/internal/credential"
)

// refusal is a reason in our own words.
type refusal struct{ said string }

func (r refusal) Error() string { return r.said }

func refuse(format string, values ...any) error {
	return refusal{fmt.Sprintf(format, values...)}
}

// mostLetters of a reason fit into a termination message, however they are written there.
const mostLetters = 600

// Reason says in one sentence why a workspace could not be prepared; a login never stands in it, whoever wrote it there.
func Reason(err error, wanted Wanted) string {
	said := reason(err, wanted)
	if login, failed := wanted.Secret.Login(); failed == nil && login.Password != "" {
		said = strings.ReplaceAll(said, login.Password, "…")
	}
	if letters := []rune(said); len(letters) > mostLetters {
		said = string(letters[:mostLetters]) + "…"
	}
	return said
}

func reason(err error, wanted Wanted) string {
	var own refusal
	switch {
	case errors.As(err, &own):
		return own.said
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return "the workspace has no room for the repository: raise spec.workspace.size"
	case errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed):
		return refused(wanted)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return "the server knows no such repository, or none that this login may read"
	}
	return err.Error()
}

func refused(wanted Wanted) string {
	if login, err := wanted.Secret.Login(); err == nil && login == (credential.Login{}) {
		return "the server asks for a login: name a Secret with username and password, or token, as " +
			"spec.git.credentialsSecret"
	}
	return "the server refuses the login of spec.git.credentialsSecret"
}

// address is a repository's address as it may be told: without a login that somebody wrote into it.
func address(repository string) string {
	parsed, err := url.Parse(repository)
	if err != nil {
		return "another repository"
	}
	parsed.User = nil
	return parsed.String()
}
