package process

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Solitude is a stretch of time in which nothing but the first process, and one that asks it something, ran in the
// container. Nobody else can have written anything then.
type Solitude struct {
	alone bool
	last  int
}

// BeginSolitude notes that nothing else runs from now on, if so. Parameter asking is the process that asks, 0 for none.
func BeginSolitude(asking int) Solitude {
	// In this order: what begins in between has a higher number.
	last, known := lastNumber()
	return Solitude{alone: known && os.Getpid() == 1 && onlyRun(1, asking), last: last}
}

// Lasts says whether nothing else has run since, and nothing does.
//
// The kernel counts the processes and threads of a container; the only ones since then have to be our own threads.
func (s Solitude) Lasts() bool {
	if !s.alone || !onlyRun(1) {
		return false
	}
	last, known := lastNumber()
	if !known || last < s.last {
		return false
	}
	for number := s.last + 1; number <= last; number++ {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", number)); err != nil {
			return false
		}
	}
	return true
}

// onlyRun says whether no other processes run in the container than these.
func onlyRun(numbers ...int) bool {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(names, func(each os.DirEntry) bool {
		number, err := strconv.Atoi(each.Name())
		return err == nil && !slices.Contains(numbers, number)
	})
}

// lastNumber is the number of the newest process or thread in this process's namespace.
func lastNumber() (number int, known bool) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(load))
	number, err = strconv.Atoi(fields[len(fields)-1])
	return number, err == nil
}
