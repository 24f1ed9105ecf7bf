package pack

import (
	"os"
	"path"
	"slices"
	"strings"
)

// ground is what a root file system lies on, and what the runtime may have made on it before the first process began.
type ground struct {
	// layers tell what it lies on and who looks at it; empty where that can't be told.
	layers string
	// touched are folders in which the runtime may have made something, to mount or to begin there.
	touched map[string]bool
}

// What decides which files a process may look at.
var viewer = []string{"Uid:", "Gid:", "Groups:", "CapEff:"}

// ground tells what the root lies on. As long as a node runs, no runtime changes the layers of an image that it has
// unpacked, nor uses their place for others.
func (r *Root) ground() ground {
	found := ground{touched: map[string]bool{}}
	for folder := range r.above {
		found.touched[folder] = true
	}
	if here, err := os.Getwd(); err == nil {
		inside, _ := strings.CutPrefix(here, strings.TrimSuffix(r.path, "/")+"/")
		for ; inside != "" && inside != "." && inside != "/"; inside = path.Dir(inside) {
			found.touched[inside] = true
		}
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || r.lower == "" {
		return found
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return found
	}
	told := []string{r.lower, strings.TrimSpace(string(boot)), strings.Join(passing, " "), confinement()}
	for line := range strings.Lines(string(status)) {
		if slices.ContainsFunc(viewer, func(each string) bool { return strings.HasPrefix(line, each) }) {
			told = append(told, strings.TrimSpace(line))
		}
	}
	found.layers = strings.Join(told, "\n")
	return found
}

// confinement is what a security module has the process run as, without what differs between pods of one kind; empty where
// there is none.
func confinement() string {
	label, err := os.ReadFile("/proc/self/attr/current")
	if err != nil {
		return ""
	}
	// SELinux: user, role, type, and a level with categories of this pod alone.
	parts := strings.Split(strings.Trim(string(label), "\x00\n"), ":")
	return strings.Join(parts[:min(3, len(parts))], ":")
}

// lowerOf returns what a line of mountinfo tells of the layers of an overlay, which is the same for all containers of one
// image; empty of anything else.
func lowerOf(fields []string) string {
	kind := slices.Index(fields, "-") + 1
	if kind == 0 || len(fields) < kind+3 || fields[kind] != "overlay" {
		return ""
	}
	kept := slices.DeleteFunc(strings.Split(fields[kind+2], ","), func(option string) bool {
		return strings.HasPrefix(option, "upperdir=") || strings.HasPrefix(option, "workdir=")
	})
	if !slices.ContainsFunc(kept, func(option string) bool { return strings.HasPrefix(option, "lowerdir") }) {
		return ""
	}
	return strings.Join(kept, ",")
}
