package pack

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// forge writes a pack of entries that no guest would write, sealed as if one had.
func (t *tree) forge(folder string, entries ...tar.Header) {
	t.t.Helper()
	var plain bytes.Buffer
	archive := tar.NewWriter(&plain)
	head := tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{imageRecord: t.store.index.image()}}
	must(t.t, archive.WriteHeader(&head))
	for _, header := range entries {
		header.Format, header.Mode = tar.FormatPAX, 0o4777
		must(t.t, archive.WriteHeader(&header))
		_, err := io.CopyN(archive, zeros{}, header.Size)
		must(t.t, err)
	}
	must(t.t, archive.Close())
	sealed(t.t, folder, plain.Bytes(), zstd.WithWindowSize(window))
}

func sealed(t *testing.T, folder string, plain []byte, options ...zstd.EOption) {
	t.Helper()
	var packed bytes.Buffer
	packer, err := zstd.NewWriter(&packed, options...)
	must(t, err)
	_, err = packer.Write(plain)
	must(t, err)
	must(t, packer.Close())
	sum := sha256.Sum256(packed.Bytes())
	packed.WriteString(sealMark)
	packed.Write(sum[:])
	must(t, os.WriteFile(filepath.Join(folder, file), packed.Bytes(), 0o600))
}

func reg(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 4} }

func TestAHostilePackIsSetAsideAndDoesNothingOutside(t *testing.T) {
	up := strings.Repeat("../", 12)
	sparse := func(record string) []tar.Header {
		header := reg("file")
		header.PAXRecords = map[string]string{sparseRecord: record}
		return []tar.Header{header}
	}
	link := func(name, target string) tar.Header {
		return tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeLink}
	}
	symlink := func(name, target string) tar.Header {
		return tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink}
	}
	for name, entries := range map[string][]tar.Header{
		"a path upwards":                {reg("../outside/file")},
		"a path upwards in the middle":  {reg("etc/../../outside/file")},
		"an absolute path":              {reg("/file")},
		"a path of dots":                {reg("./file")},
		"an empty step":                 {reg("etc//file")},
		"through a link upwards":        {symlink("way", "../outside"), reg("way/file")},
		"through an absolute link":      {symlink("way", "/"), reg("way/file")},
		"a folder where a link is":      {symlink("way", "../outside"), {Name: "way", Typeflag: tar.TypeDir}, reg("way/file")},
		"a hard link upwards":           {link("mine", "../outside/secret")},
		"a hard link far upwards":       {link("mine", up+"etc/passwd")},
		"a hard link through a link":    {symlink("way", "../outside"), link("mine", "way/secret")},
		"a hard link to a link":         {symlink("way", "../outside/secret"), link("mine", "way")},
		"a hard link to nothing":        {link("mine", "nothing")},
		"a character device":            {{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
		"a block device":                {{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8}},
		"a deletion upwards":            {{Name: "../outside/secret", Typeflag: tar.TypeReg, PAXRecords: map[string]string{deletedRecord: "1"}}},
		"pieces that overlap":           sparse("100 0+2 1+2"),
		"pieces beyond the end":         sparse("100 98+4"),
		"pieces of a negative length":   sparse("100 0+8 10+-4"),
		"pieces that overflow":          sparse("100 9223372036854775807+4"),
		"pieces of more than there is":  sparse("100 0+8"),
		"a file larger than any":        sparse("9223372036854775807 0+4"),
		"pieces that are none":          sparse("many few"),
		"a file where a full folder is": {reg("etc")},
		"a name longer than any":        {reg(strings.Repeat("x", 300))},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			tree := newTree(t, aFewFiles(t), folder, 1<<20)
			outside := filepath.Join(filepath.Dir(tree.path), "outside")
			must(t, os.Mkdir(outside, 0o755))
			must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
			tree.forge(folder, entries...)

			_, err := tree.store.Unpack()
			if !errors.Is(err, errContent) {
				t.Errorf("it says %v", err)
			}
			mustBeUntouched(t, outside)
			mustBeSetAside(t, folder)
		})
	}
}

func TestAPackBeyondTheLimitIsNotUnpackedAndStaysForAHigherOne(t *testing.T) {
	for name, entries := range map[string][]tar.Header{
		"of bytes":   {{Name: "bomb", Typeflag: tar.TypeReg, Size: 4 << 20}},
		"of entries": {reg("1"), reg("2"), reg("3"), reg("4"), reg("5")},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			tree := newTree(t, aFewFiles(t), folder, 1<<20)
			tree.store.most = 4
			tree.forge(folder, entries...)

			if _, err := tree.store.Unpack(); !errors.Is(err, errTooMuch) {
				t.Errorf("it says %v", err)
			}
			if _, err := os.Lstat(filepath.Join(folder, file)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatIsNoFileIsSetAside(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a symbolic link": func(path string) error { return os.Symlink("/etc/passwd", path) },
		"a pipe":          func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a full folder":   func(path string) error { return os.MkdirAll(filepath.Join(path, "full"), 0o700) },
		"a socket":        func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			for _, each := range []string{file, refused, unfinished} {
				must(t, make(filepath.Join(folder, each)))
			}
			tree := newTree(t, aFewFiles(t), folder, 0)

			if installed := tree.unpack(); installed != "" {
				t.Errorf("%q is said to be installed", installed)
			}
			mustBeSetAside(t, folder)
			must(t, make(filepath.Join(folder, unfinished)))
			tree.write("opt/file", "new")
			tree.pack()
		})
	}
}

func mustBeUntouched(t *testing.T, outside string) {
	t.Helper()
	var status unix.Stat_t
	must(t, unix.Lstat(filepath.Join(outside, "secret"), &status))
	content, err := os.ReadFile(filepath.Join(outside, "secret"))
	must(t, err)
	left, err := os.ReadDir(outside)
	must(t, err)
	if string(content) != "secret" || status.Nlink != 1 || status.Mode&0o7777 != 0o600 || len(left) != 1 {
		t.Errorf("%v is outside, with %q of mode %o and %d names", left, content, status.Mode, status.Nlink)
	}
}

func mustBeSetAside(t *testing.T, folder string) {
	t.Helper()
	if left, _ := os.ReadDir(folder); len(left) != 1 || left[0].Name() != refused {
		t.Errorf("%v is left", left)
	}
}

func TestWhatBelongsToTheRuntimeIsLeftOut(t *testing.T) {
	folder := t.TempDir()
	tree := newTree(t, aFewFiles(t), folder, 0)
	tree.forge(folder, reg(".sandkeeper/bin/guest"), reg("proc/file"), reg("dev/null"), reg("opt/file"))

	tree.unpack()
	if left, _ := os.ReadDir(tree.path); len(left) != 3 {
		t.Errorf("the root has %v", left)
	}
}

func TestADamagedPackIsSetAsideBeforeAnythingIsUnpacked(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"cut short":    func(pack []byte) []byte { return pack[:len(pack)/2] },
		"empty":        func([]byte) []byte { return nil },
		"without seal": func(pack []byte) []byte { return pack[:int64(len(pack))-sealSize] },
		"a bit flipped": func(pack []byte) []byte {
			pack[len(pack)/2] ^= 1
			return pack
		},
	} {
		t.Run(name, func(t *testing.T) {
			image, folder := aFewFiles(t), t.TempDir()
			first := newTree(t, image, folder, 0)
			first.write("opt/file", noise(1<<10))
			first.pack()
			path := filepath.Join(folder, file)
			content, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, damage(content), 0o600))

			second := newTree(t, image, folder, 0)
			before := second.facts()
			if installed := second.unpack(); installed != "" {
				t.Errorf("%q is said to be installed", installed)
			}
			if len(before) != len(second.facts()) {
				t.Error("something was unpacked")
			}
			mustBeSetAside(t, folder)
		})
	}
}

func TestAPackThatAsksForMuchMemoryIsSetAside(t *testing.T) {
	record := "2000000 x=" + strings.Repeat("x", 2_000_000-len("2000000 x=\n")) + "\n"
	var giant bytes.Buffer
	archive := tar.NewWriter(&giant)
	must(t, archive.WriteHeader(&tar.Header{Name: "PaxHeaders.0/x", Typeflag: tar.TypeReg, Size: int64(len(record))}))
	_, err := archive.Write([]byte(record))
	must(t, err)
	asHeader := giant.Bytes()
	asHeader[156] = tar.TypeXHeader
	checksum(asHeader[:512])
	for name, forge := range map[string]func(folder string){
		"by a giant header":   func(folder string) { sealed(t, folder, asHeader) },
		"by a giant window":   func(folder string) { sealed(t, folder, make([]byte, 64<<20), zstd.WithWindowSize(32<<20)) },
		"by no archive":       func(folder string) { sealed(t, folder, []byte(strings.Repeat("not an archive", 100))) },
		"by an empty archive": func(folder string) { sealed(t, folder, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			tree := newTree(t, aFewFiles(t), folder, 0)
			forge(folder)
			if _, err := tree.store.Unpack(); !errors.Is(err, errContent) {
				t.Errorf("it says %v", err)
			}
			mustBeSetAside(t, folder)
		})
	}
}

// checksum makes a header's checksum true again.
func checksum(header []byte) {
	copy(header[148:156], "        ")
	sum := 0
	for _, value := range header {
		sum += int(value)
	}
	digits := []byte("000000\x00 ")
	for at := 5; at >= 0; at-- {
		digits[at] = byte('0' + sum&7)
		sum >>= 3
	}
	copy(header[148:156], digits)
}
