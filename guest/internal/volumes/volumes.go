// Package volumes brings what was written to a sandbox's volumes to their disks.
package volumes

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Volumes are the file systems that a sandbox's own folders lie on.
type Volumes struct {
	folders []*os.File
}

// Open opens the file systems of folders; what is not there is left out, as is a file system that another one lies on.
//
// An error that a disk reports from now on is told by the next Sync.
func Open(folders ...string) (*Volumes, error) {
	v, known := &Volumes{}, map[uint64]bool{}
	for _, path := range folders {
		folder, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		var status unix.Stat_t
		if err == nil {
			v.folders = append(v.folders, folder)
			err = unix.Fstat(int(folder.Fd()), &status)
		}
		if err != nil {
			v.Close()
			return nil, err
		}
		if known[status.Dev] {
			_ = folder.Close()
			v.folders = v.folders[:len(v.folders)-1]
		}
		known[status.Dev] = true
	}
	return v, nil
}

// Close ends the use of the file systems.
func (v *Volumes) Close() {
	for _, folder := range v.folders {
		_ = folder.Close()
	}
}

// Sync returns once all that was written before is on the disks, and how long that took.
func (v *Volumes) Sync() (time.Duration, error) {
	began := time.Now()
	for _, folder := range v.folders {
		if err := unix.Syncfs(int(folder.Fd())); err != nil {
			return 0, &os.PathError{Op: "sync", Path: folder.Name(), Err: err}
		}
	}
	return time.Since(began), nil
}
