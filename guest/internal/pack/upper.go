package pack

import (
	"time"

	"golang.org/x/sys/unix"
)

// So far a wall clock may be put back unnoticed, with what the kernel's coarse clock (10 ms) and whoever is held up
// between reading two clocks add to it.
const leeway = int64(100 * time.Millisecond)

// moment is what two clocks show, in nanoseconds: the wall's, which may be set, and one that cannot be, and is as fast.
type moment struct{ wall, steady int64 }

func now() moment {
	var wall, steady unix.Timespec
	// The kernel has both.
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &steady)
	return moment{wall: wall.Nano(), steady: steady.Nano()}
}

// birth is when the root's own folder was made, in nanoseconds since 1970; 0 where its file system does not tell.
func (r *Root) birth() int64 {
	var told unix.Statx_t
	err := unix.Statx(r.fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &told)
	if err != nil || told.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return told.Btime.Sec*int64(time.Second) + int64(told.Btime.Nsec)
}

// layeredBefore is the ctime, in nanoseconds since 1970, before which a folder that was seen between two moments is a
// layer's own; 0 where nobody knows.
//
// What an overlay tells of its root's own folder is that of the upper one, which a runtime makes for a container, empty. So
// whatever is changed from the first moment on has a later ctime, if the root is not of the future by then and nobody puts
// the clock back before the second one; after that, another ctime than the folder had. Before the first moment the runtime
// alone is at work, in folders that are known; whom it lets in as early would have to meet somebody who puts the clock back.
func layeredBefore(birth int64, began, ended moment) int64 {
	putBack := (ended.steady - began.steady) - (ended.wall - began.wall)
	if birth <= leeway || birth > began.wall || putBack > leeway {
		return 0
	}
	return birth - leeway
}
