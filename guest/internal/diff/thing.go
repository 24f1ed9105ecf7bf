package diff

import "golang.org/x/sys/unix"

// thing is what lies at a path, on a volume or in a pack.
type thing struct {
	// mode is that of stat; 0 where nobody knows.
	mode uint32
	size int64
}

func (t thing) kind() string {
	switch t.mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symlink"
	}
	return "other"
}

func (t thing) isFolder() bool { return t.mode&unix.S_IFMT == unix.S_IFDIR }

// bytes is the size to tell.
func (t thing) bytes() *int64 {
	if kind := t.kind(); kind != "file" && kind != "symlink" {
		return nil
	}
	return &t.size
}

// between is the change from one thing to another; nil is none there, or none that is known of.
func between(path string, old, now *thing) Change {
	change := Change{Path: path, Change: changed}
	if old != nil {
		change.Kind, change.OldSize = old.kind(), old.bytes()
	} else {
		change.Change = added
	}
	if now == nil {
		change.Change = deleted
		return change
	}
	if change.Kind != now.kind() {
		change.OldKind = change.Kind
	}
	change.Kind, change.Size = now.kind(), now.bytes()
	return change
}
