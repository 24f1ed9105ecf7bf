package pack

import (
	"archive/tar"
	"bytes"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Where GNU tar and bsdtar look for extended attributes, too.
const attributePrefix = "SCHILY.xattr."

// readAttributes adds the extended attributes of an open file or folder to a header.
func readAttributes(fd int, header *tar.Header) error {
	names, err := attributeNames(fd)
	if err != nil {
		return err
	}
	for _, name := range names {
		value, err := attribute(fd, name)
		if err == unix.ENODATA {
			continue
		}
		if err != nil {
			return err
		}
		record(header, recordOf(name), string(value))
	}
	return nil
}

func attributeNames(fd int) ([]string, error) {
	buffer := make([]byte, 1<<10)
	size, err := unix.Flistxattr(fd, buffer)
	if err == unix.ERANGE {
		buffer = make([]byte, 64<<10)
		size, err = unix.Flistxattr(fd, buffer)
	}
	if err == unix.ENOTSUP {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range bytes.SplitSeq(buffer[:size], []byte{0}) {
		if keptAttribute(string(name)) {
			names = append(names, string(name))
		}
	}
	return names, nil
}

// Labels of the node's own security module and of its storage are not the sandbox's to keep.
func keptAttribute(name string) bool {
	return strings.HasPrefix(name, "user.") || name == "security.capability" || strings.HasPrefix(name, "system.posix_acl_")
}

func attribute(fd int, name string) ([]byte, error) {
	value := make([]byte, 256)
	size, err := unix.Fgetxattr(fd, name, value)
	if err == unix.ERANGE {
		value = make([]byte, 64<<10)
		size, err = unix.Fgetxattr(fd, name, value)
	}
	return value[:max(size, 0)], err
}

// writeAttributes gives an open file or folder the extended attributes of a header, and no others.
func writeAttributes(fd int, header *tar.Header) error {
	there, err := attributeNames(fd)
	if err != nil {
		return err
	}
	for _, name := range there {
		if _, wanted := header.PAXRecords[recordOf(name)]; !wanted {
			if err := unix.Fremovexattr(fd, name); err != nil && err != unix.ENODATA {
				return &os.PathError{Op: "remove attribute " + name, Path: "/" + header.Name, Err: err}
			}
		}
	}
	for key, value := range header.PAXRecords {
		name, ok := strings.CutPrefix(key, attributePrefix)
		name = unescaping.Replace(name)
		if !ok || !keptAttribute(name) {
			continue
		}
		err := unix.Fsetxattr(fd, name, []byte(value), 0)
		// A sandbox with fewer rights, or on another storage, than the one that packed.
		if err != nil && err != unix.EPERM && err != unix.ENOTSUP {
			return &os.PathError{Op: "set attribute " + name, Path: "/" + header.Name, Err: err}
		}
	}
	return nil
}

// A record's key ends at the first equals sign.
var (
	escaping   = strings.NewReplacer("%", "%25", "=", "%3D")
	unescaping = strings.NewReplacer("%25", "%", "%3D", "=")
)

func recordOf(attribute string) string { return attributePrefix + escaping.Replace(attribute) }

func record(header *tar.Header, key, value string) {
	if header.PAXRecords == nil {
		header.PAXRecords = map[string]string{}
	}
	header.PAXRecords[key] = value
}

// headerOf returns what a pack says of a file, but its content.
func headerOf(path string, status *unix.Stat_t) *tar.Header {
	return &tar.Header{
		Format:   tar.FormatPAX,
		Name:     path,
		Typeflag: typeflags[status.Mode&unix.S_IFMT],
		Mode:     int64(status.Mode & 0o7777),
		Uid:      int(status.Uid),
		Gid:      int(status.Gid),
		ModTime:  time.Unix(status.Mtim.Unix()),
	}
}

var typeflags = map[uint32]byte{
	unix.S_IFREG: tar.TypeReg, unix.S_IFDIR: tar.TypeDir, unix.S_IFLNK: tar.TypeSymlink, unix.S_IFIFO: tar.TypeFifo,
}

// timesOf returns access and modification time for utimensat, the former left as it is.
func timesOf(header *tar.Header) []unix.Timespec {
	modified, err := unix.TimeToTimespec(header.ModTime)
	if err != nil {
		modified = unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return []unix.Timespec{{Nsec: unix.UTIME_OMIT}, modified}
}
