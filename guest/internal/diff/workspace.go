package diff

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// So much memory the names of all folders on the way to one may take together.
	mostOfNames = 64 << 20
	nameCosts   = 32
	// Deeper than any tree that is not made to be deep; each level has two open folders.
	deepest = 1000
	// A page that a program has mapped may be written to without another ctime until it was last written back: half a
	// minute by default, and more on a slow disk.
	unsettled = 10 * time.Minute
)

var (
	errTooMany = errors.New("its folder, with those above it, has more names than fit into memory")
	errTooDeep = errors.New("it lies too deep")
)

// pair walks two trees in step.
type pair struct {
	report *report
	counts *Counts
	left   int
	depth  int
	// alike says that both volumes may be of one disk at two times: a file that was not written to has the same inode
	// and ctime then, which no program can set.
	alike bool
	// newest is the newest ctime that both volumes have of one inode: the old one was taken no earlier.
	newest int64
	// Buffers for contents.
	old, now []byte
}

// side is a folder of one tree.
type side struct {
	fd    int
	names []string
}

var nowhere = side{fd: -1}

func (r *report) workspace(old, now *volume) {
	p := &pair{report: r, counts: &r.summary.Workspace, left: mostOfNames, alike: sameKind(old.root, now.root)}
	p.old, p.now = make([]byte, contentAtOnce), make([]byte, contentAtOnce)
	p.folders(old.workspace, now.workspace, "workspace")
}

func sameKind(a, b int) bool {
	var one, other unix.Statfs_t
	return unix.Fstatfs(a, &one) == nil && unix.Fstatfs(b, &other) == nil && one.Type == other.Type
}

// folders compares what is in two open folders; -1 is none.
func (p *pair) folders(old, now int, path string) {
	before := p.left
	defer func() { p.left = before }()
	a, err := p.read(old)
	if err == nil {
		var b side
		if b, err = p.read(now); err == nil {
			p.merge(a, b, path)
			return
		}
	}
	p.report.unread(path, err)
}

func (p *pair) merge(a, b side, path string) {
	for at, other := 0, 0; at < len(a.names) || other < len(b.names); {
		switch {
		case other == len(b.names) || at < len(a.names) && a.names[at] < b.names[other]:
			p.one(a, nowhere, a.names[at], path)
			at++
		case at == len(a.names) || b.names[other] < a.names[at]:
			p.one(nowhere, b, b.names[other], path)
			other++
		default:
			p.one(a, b, a.names[at], path)
			at++
			other++
		}
	}
}

// one compares what lies under a name in two folders.
func (p *pair) one(a, b side, name, folder string) {
	path := folder + "/" + name
	old, err := statIn(a, name)
	var now *unix.Stat_t
	if err == nil {
		now, err = statIn(b, name)
	}
	differ := old == nil || now == nil
	if err == nil && !differ {
		p.see(old, now)
		differ, err = p.differ(a.fd, b.fd, name, old, now)
	}
	if err != nil {
		p.report.unread(path, err)
		return
	}
	if differ {
		p.report.change(between(path, thingOf(old), thingOf(now)), p.counts)
	}
	p.inside(folderIn(a, name, old), folderIn(b, name, now), path)
}

// inside goes into what are folders.
func (p *pair) inside(a, b opened, path string) {
	defer a.close()
	defer b.close()
	err := errors.Join(a.err, b.err)
	if p.depth == deepest && err == nil && (a.fd >= 0 || b.fd >= 0) {
		err = errTooDeep
	}
	if err != nil {
		p.report.unread(path, err)
		return
	}
	if a.fd < 0 && b.fd < 0 {
		return
	}
	p.depth++
	p.folders(a.fd, b.fd, path)
	p.depth--
}

// opened is a folder that could be opened or not; without either there is none.
type opened struct {
	fd  int
	err error
}

func (o opened) close() {
	if o.fd >= 0 {
		unix.Close(o.fd)
	}
}

func folderIn(in side, name string, status *unix.Stat_t) opened {
	if status == nil || status.Mode&unix.S_IFMT != unix.S_IFDIR {
		return opened{fd: -1}
	}
	fd, err := openFolder(in.fd, name)
	if err != nil {
		return opened{fd: -1, err: err}
	}
	return opened{fd: fd}
}

func statIn(in side, name string) (*unix.Stat_t, error) {
	if in.fd < 0 {
		return nil, nil
	}
	var status unix.Stat_t
	if err := unix.Fstatat(in.fd, name, &status, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	return &status, nil
}

func thingOf(status *unix.Stat_t) *thing {
	if status == nil {
		return nil
	}
	return &thing{mode: status.Mode, size: status.Size}
}

// read returns the names in an open folder, in order.
func (p *pair) read(fd int) (side, error) {
	if fd < 0 {
		return nowhere, nil
	}
	found, buffer := side{fd: fd}, make([]byte, 16<<10)
	for {
		n, err := unix.ReadDirent(fd, buffer)
		if err != nil {
			return nowhere, err
		}
		if n <= 0 {
			slices.Sort(found.names)
			return found, nil
		}
		known := len(found.names)
		_, _, found.names = unix.ParseDirent(buffer[:n], -1, found.names)
		for _, name := range found.names[known:] {
			p.left -= len(name) + nameCosts
		}
		if p.left < 0 {
			return nowhere, errTooMany
		}
	}
}
