// Command trial installs as the guest does, in a pod of a test's own: `trial FAILURE PACKAGES SETUP` prints what the
// programs print, and writes a failure, as JSON, to a file.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"sandkeeper.dev/guest/internal/hidden"
	"sandkeeper.dev/guest/internal/install"
)

func main() {
	var want install.Packages
	if err := json.Unmarshal([]byte(os.Args[2]), &want); err != nil {
		end(2, err)
	}
	err := install.Run(context.Background(), want, os.Args[3], os.Stdout, hidden.Sources{})
	var failure *install.Error
	if errors.As(err, &failure) {
		content, _ := json.Marshal(failure)
		_ = os.WriteFile(os.Args[1], content, 0o600)
		end(failure.ExitCode, err)
	}
	if err != nil {
		end(1, err)
	}
}

func end(code int, why error) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(code)
}
