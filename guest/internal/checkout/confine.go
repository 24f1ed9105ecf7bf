package checkout

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	group = "/sys/fs/cgroup"
	// mostMemory is enough for some hundred thousand files, leastMemory for a few.
	mostMemory  = 512 << 20
	leastMemory = 32 << 20
)

// confine bounds what this process may use to half of what its container has left: one that ran out of memory would be
// killed with all that runs in the sandbox.
func confine() error {
	most := spare(group) / 2
	if most < leastMemory {
		return refuse("the sandbox has too little memory left to look through its checkout")
	}
	most = min(most, mostMemory)
	debug.SetMemoryLimit(int64(most / 2))
	most += mapped()
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})
}

// mapped is how much this process has mapped to write to; Go's runtime uses little of it.
func mapped() uint64 {
	content, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(content))
	if len(fields) < 6 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[5], 10, 64)
	return pages * uint64(os.Getpagesize())
}

// spare is how much memory a container has left, without what the kernel would give back; much where it is not limited.
func spare(group string) uint64 {
	limit, err := os.ReadFile(filepath.Join(group, "memory.max"))
	if err != nil {
		return 2 * mostMemory
	}
	most, err := strconv.ParseUint(strings.TrimSpace(string(limit)), 10, 64)
	if err != nil {
		return 2 * mostMemory
	}
	used := uint64(0)
	statistics, _ := os.ReadFile(filepath.Join(group, "memory.stat"))
	for line := range strings.Lines(string(statistics)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "anon", "shmem", "slab_unreclaimable", "kernel_stack", "pagetables":
			amount, _ := strconv.ParseUint(value, 10, 64)
			used += amount
		}
	}
	return most - min(used, most)
}
