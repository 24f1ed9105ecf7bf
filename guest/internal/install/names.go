package install

import (
	"fmt"
	"strings"
	"unicode"
)

// check refuses what a package manager would not take for a package: it would be an option, or do something else.
func check(want Packages) error {
	for _, each := range []struct {
		step     string
		packages []string
	}{{"apt", want.Apt}, {"apk", want.Apk}, {"pip", want.Pip}, {"npm", want.Npm}} {
		for _, name := range each.packages {
			if why := objection(each.step, name); why != "" {
				line := clean(fmt.Sprintf("packages.%s: %q %s", each.step, name, why))
				return &Error{Step: each.step, ExitCode: codeUsage, Lines: []string{line}}
			}
		}
	}
	return nil
}

func objection(step, name string) string {
	switch {
	case strings.TrimSpace(name) == "":
		return "is no package"
	case strings.HasPrefix(strings.TrimSpace(name), "-"):
		return "is an option, not a package"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has control characters"
	case step == "apt" && strings.HasSuffix(name, "-"):
		return "would remove a package"
	case step == "apk" && strings.HasPrefix(name, "!"):
		return "would remove a package"
	}
	return ""
}
