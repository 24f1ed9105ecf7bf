package credential

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// Authority is the key that holds certificates of the server's own authorities, as PEM.
	Authority = "ca.crt"
	// anyUser goes with a token for which no user is named: servers that know tokens look at nothing else.
	anyUser = "x-access-token"
	longest = 1 << 20
)

// Secret is a folder with a file for each key, which change while it is in use; empty for no Secret.
type Secret string

// Login is what a server asks for; empty where the Secret holds none.
type Login struct {
	Username, Password string
}

// Login reads user and password, or a token in the password's place.
func (s Secret) Login() (Login, error) {
	password, err := s.line("password", "token")
	if err != nil || password == "" {
		return Login{}, err
	}
	username, err := s.line("username")
	if username == "" {
		username = anyUser
	}
	return Login{username, password}, err
}

// Authorities reads the server's own authorities; nil where there are none.
func (s Secret) Authorities() ([]byte, error) { return s.read(Authority) }

// line reads the first of some keys that is there, without the end of line that editors leave.
func (s Secret) line(keys ...string) (string, error) {
	for _, key := range keys {
		content, err := s.read(key)
		if err != nil {
			return "", err
		}
		line := strings.TrimRight(string(content), "\r\n")
		if strings.ContainsAny(line, "\r\n\x00") {
			return "", fmt.Errorf("key %s of the Secret must be one line", key)
		}
		if line != "" {
			return line, nil
		}
	}
	return "", nil
}

func (s Secret) read(key string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	file, err := os.Open(filepath.Join(string(s), key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("key %s of the Secret can't be read", key)
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, longest))
}
