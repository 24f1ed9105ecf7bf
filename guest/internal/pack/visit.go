package pack

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// Item is what a pack says of one path.
type Item struct {
	Path string
	// Deleted says that the image has it and the sandbox has not: nothing else is known of it then.
	Deleted bool
	// Replaces says that the image has something there, too.
	Replaces bool
	// Mode is that of stat, with the type; of another name of a file, which Target then is, it is 0.
	Mode     uint32
	UID, GID int
	// Size is a file's, with its holes.
	Size int64
	// Target is where a symbolic link leads.
	Target string
	// Holes tells where the data of a sparse file lies; the content is then the data alone.
	Holes string
}

// Visit reads a pack without unpacking it: each item is handed over in the pack's order, with the content of a file.
//
// Nothing in it is trusted: what was not sealed or makes no sense is an error, as is what the visitor returns.
func Visit(source *os.File, visit func(Item, io.Reader) error) error {
	if _, err := checkSeal(source); err != nil {
		return err
	}
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return err
	}
	plain, err := decompressed(source)
	if err != nil {
		return err
	}
	defer plain.Close()
	archive := tar.NewReader(plain)
	if _, err := labelOf(archive); err != nil {
		return err
	}
	var total Result
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return judged(err)
		}
		if err := total.account(header, bounds{bytes: mostBytes, entries: mostEntries}); err != nil {
			return err
		}
		item, err := itemOf(header)
		if err != nil {
			return fmt.Errorf("%q: %w", "/"+header.Name, judged(err))
		}
		if err := visit(item, archive); err != nil {
			return err
		}
	}
}

func decompressed(source io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(source, zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
}

func isSaid(header *tar.Header, key string) bool { return header.PAXRecords[key] != "" }

func itemOf(header *tar.Header) (Item, error) {
	item := Item{Path: header.Name, Deleted: isSaid(header, deletedRecord), Replaces: isSaid(header, replacesRecord)}
	if !item.Deleted {
		// archive/tar marks folders by a slash.
		item.Path = strings.TrimSuffix(header.Name, "/")
	}
	if err := checkPath(item.Path); err != nil || item.Deleted {
		return item, err
	}
	item.Mode, item.UID, item.GID = uint32(header.Mode&0o7777), header.Uid, header.Gid
	item.Target, item.Holes = header.Linkname, header.PAXRecords[sparseRecord]
	switch header.Typeflag {
	case tar.TypeReg:
		var err error
		item.Mode, item.Target = item.Mode|unix.S_IFREG, ""
		_, item.Size, err = described(header)
		return item, err
	case tar.TypeLink:
		item.Mode = 0
		return item, nil
	}
	for kind, flag := range typeflags {
		if flag == header.Typeflag {
			item.Mode |= kind
			return item, nil
		}
	}
	return item, errHostile
}
