package pack

import (
	"archive/tar"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// archive/tar reads sparse files and writes none, so where data lies stands in a record of our own:
// "SIZE OFFSET+LENGTH OFFSET+LENGTH …", and the entry's content is the data alone.
const (
	sparseRecord = "SANDKEEPER.sparse"
	// A file in more pieces is packed with its holes: zeros compress to nothing, and a record has to be small.
	mostPieces = 10_000
	// Larger files are not what a container's file system has.
	largestFile = 1 << 44
)

type piece struct{ offset, length int64 }

// piecesOf returns where the data of an open file lies; one piece where it has no holes.
func piecesOf(fd int, status *unix.Stat_t) []piece {
	whole := []piece{{0, status.Size}}
	if status.Blocks*512 >= status.Size {
		return whole
	}
	var pieces []piece
	for end := int64(0); end < status.Size; {
		start, err := unix.Seek(fd, end, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break
		}
		if err == nil {
			end, err = unix.Seek(fd, start, unix.SEEK_HOLE)
		}
		if err != nil || len(pieces) == mostPieces {
			return whole
		}
		end = min(end, status.Size)
		if end > start {
			pieces = append(pieces, piece{start, end - start})
		}
	}
	return pieces
}

// describe puts pieces into a header, and the size of their data.
func describe(header *tar.Header, pieces []piece, size int64) {
	for _, piece := range pieces {
		header.Size += piece.length
	}
	if header.Size == size {
		return
	}
	var words strings.Builder
	fmt.Fprint(&words, size)
	for _, piece := range pieces {
		fmt.Fprintf(&words, " %d+%d", piece.offset, piece.length)
	}
	record(header, sparseRecord, words.String())
}

var errSparse = errors.New("a sparse file's pieces make no sense")

// described returns the pieces and the size that a header tells, checked against each other.
func described(header *tar.Header) ([]piece, int64, error) {
	words := strings.Fields(header.PAXRecords[sparseRecord])
	if len(words) == 0 {
		return []piece{{0, header.Size}}, header.Size, nil
	}
	size, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || size < 0 || size > largestFile || len(words) > mostPieces+1 {
		return nil, 0, errSparse
	}
	var pieces []piece
	end, total := int64(0), int64(0)
	for _, word := range words[1:] {
		var next piece
		if _, err := fmt.Sscanf(word, "%d+%d", &next.offset, &next.length); err != nil {
			return nil, 0, errSparse
		}
		if next.offset < end || next.length <= 0 || next.length > size-next.offset {
			return nil, 0, errSparse
		}
		end, total = next.offset+next.length, total+next.length
		pieces = append(pieces, next)
	}
	if total != header.Size {
		return nil, 0, errSparse
	}
	return pieces, size, nil
}

// zeros are what a file that shrank while it was read is filled up with.
type zeros struct{}

func (zeros) Read(buffer []byte) (int, error) {
	clear(buffer)
	return len(buffer), nil
}
