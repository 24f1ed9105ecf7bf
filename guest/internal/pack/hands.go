package pack

import (
	"archive/tar"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// A file up to this size is handed over whole.
	smallFile = 64 << 10
	// So many small files wait at most, in two megabytes of memory.
	mostWaiting = 32
	handsAtWork = 2
)

// hands write small files while the reader goes on to the next: that is half of the work of unpacking.
//
// They get open files alone, so what lies where is decided in one place and in order.
type hands struct {
	files   chan written
	buffers chan []byte
	working sync.WaitGroup
	once    sync.Once
	failure error
	failed  chan struct{}
}

// written is a file with what is to be in it.
type written struct {
	fd      int
	header  *tar.Header
	content []byte
}

func newHands() *hands {
	h := &hands{
		files: make(chan written, mostWaiting), buffers: make(chan []byte, mostWaiting), failed: make(chan struct{}),
	}
	for range mostWaiting {
		h.buffers <- nil
	}
	for range handsAtWork {
		h.working.Go(h.work)
	}
	return h
}

// give hands an open file over; the error may be that of one before.
func (h *hands) give(fd int, header *tar.Header, content io.Reader) error {
	buffer := <-h.buffers
	if buffer == nil {
		buffer = make([]byte, smallFile)
	}
	if _, err := io.ReadFull(content, buffer[:header.Size]); err != nil {
		unix.Close(fd)
		h.buffers <- buffer
		return err
	}
	h.files <- written{fd, header, buffer[:header.Size]}
	select {
	case <-h.failed:
		return h.failure
	default:
		return nil
	}
}

// rest waits until all is written, and returns the first error.
func (h *hands) rest() error {
	close(h.files)
	h.working.Wait()
	return h.failure
}

func (h *hands) work() {
	for file := range h.files {
		err := file.write()
		unix.Close(file.fd)
		h.buffers <- file.content[:smallFile]
		if err != nil {
			h.once.Do(func() {
				h.failure = fmt.Errorf("unpacking %q: %w", "/"+file.header.Name, judged(err))
				close(h.failed)
			})
		}
	}
}

func (w *written) write() error {
	for rest := w.content; len(rest) > 0; {
		count, err := unix.Write(w.fd, rest)
		if err != nil && err != unix.EINTR {
			return err
		}
		rest = rest[max(count, 0):]
	}
	return dress(w.fd, w.header)
}
