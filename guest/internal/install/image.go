package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// image names the image for a reader: by what it calls itself, where it does.
func (r *run) image() string {
	content, err := os.ReadFile(filepath.Join(r.root, "etc/os-release"))
	if err != nil {
		return "this image"
	}
	for _, line := range strings.Split(string(content), "\n") {
		if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return fmt.Sprintf("this image (%s)", strings.Trim(name, `"'`))
		}
	}
	return "this image"
}

// systemPackages installs by the image's package manager what another one needs: `apt` or `apk`'s name for it.
func (r *run) systemPackages(what, aptName, apkName string) error {
	switch {
	case has(aptGet):
		return r.apt([]string{aptName})
	case has(apkProgram):
		return r.apk([]string{apkName})
	}
	line := fmt.Sprintf("%s is not in %s, and neither is apt or apk, by which it could be installed", what, r.image())
	return r.failed(codeMissing, line)
}

// usable tells why a package manager of the system cannot work here, as an error.
func (r *run) usable(name, program, other, otherProgram string) error {
	if !has(program) {
		advice := "install by setup, or choose another image"
		if has(otherProgram) {
			advice = "use packages." + other
		}
		return r.failed(codeMissing, fmt.Sprintf("%s is not in %s; %s", name, r.image(), advice))
	}
	if r.uid != 0 {
		line := fmt.Sprintf("%s needs root, and the container runs as user %d, as its image says", name, r.uid)
		return r.failed(codeForbidden, line)
	}
	return nil
}
