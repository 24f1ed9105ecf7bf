package credential

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Answer speaks Git's credential protocol (gitcredentials(7)): it answers `get` for one server and keeps silent
// otherwise, so that Git goes on as if there were no helper.
func Answer(action string, origin Origin, secret Secret, asked io.Reader, answer io.Writer) error {
	if action != "get" {
		return nil
	}
	wanted := read(asked)
	if !origin.is(wanted["protocol"], wanted["host"]) {
		return nil
	}
	login, err := secret.Login()
	if err != nil || login.Password == "" {
		return err
	}
	if user := wanted["username"]; user != "" && user != login.Username {
		return nil
	}
	_, err = fmt.Fprintf(answer, "username=%s\npassword=%s\n", login.Username, login.Password)
	return err
}

func read(asked io.Reader) map[string]string {
	attributes := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(asked, longest))
	for lines.Scan() && lines.Text() != "" {
		key, value, _ := strings.Cut(lines.Text(), "=")
		attributes[key] = value
	}
	return attributes
}
