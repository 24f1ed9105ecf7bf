package pack

import (
	"os"
	"path"
	"slices"
	"strings"
)

// ground is what decides how a process sees the layers of an image, and what the runtime may have made on them before the
// first process began.
type ground struct {
	// view tells the node as it runs now and who looks; empty where there are no layers that outlast a container.
	view string
	// touched are folders in which the runtime may have made something, to mount or to begin there.
	touched map[string]bool
}

// What decides which files a process may look at.
var viewer = []string{"Uid:", "Gid:", "Groups:", "CapEff:"}

// ground tells what the root lies on.
func (r *Root) ground() ground {
	found := ground{touched: map[string]bool{}}
	for folder := range r.above {
		found.touched[folder] = true
	}
	if here, err := os.Getwd(); err == nil {
		inside, _ := strings.CutPrefix(here, strings.TrimSuffix(r.path, "/")+"/")
		for ; strings.Trim(inside, "./") != ""; inside = path.Dir(inside) {
			found.touched[inside] = true
		}
	}
	if told, err := view(); err == nil && r.layered {
		found.view = told
	}
	return found
}

func view() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return "", err
	}
	told := []string{strings.TrimSpace(string(boot)), strings.Join(passing, " "), confinement()}
	for line := range strings.Lines(string(status)) {
		if slices.ContainsFunc(viewer, func(each string) bool { return strings.HasPrefix(line, each) }) {
			told = append(told, strings.TrimSpace(line))
		}
	}
	for line := range strings.Lines(string(users)) {
		// Which users of the node they are differs between pods, and makes no difference inside.
		if fields := strings.Fields(line); len(fields) == 3 {
			told = append(told, fields[0]+" "+fields[2])
		}
	}
	return strings.Join(told, "\n"), nil
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

// isOverlay says whether a line of mountinfo is an overlay's.
func isOverlay(fields []string) bool {
	kind := slices.Index(fields, "-") + 1
	return kind > 0 && kind < len(fields) && fields[kind] == "overlay"
}
