package diff

import (
	"bufio"
	"encoding/json"
	"io"
	"path"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"sandkeeper.dev/guest/internal/pack"
)

const (
	apt = "apt"
	pip = "pip"
	npm = "npm"

	dpkgStatus = "var/lib/dpkg/status"
	dpkgInfo   = "var/lib/dpkg/info/"
	dpkgList   = ".list"
	// Larger ones are no package's.
	mostOfJSON = 1 << 20
)

func isFile(item pack.Item) bool { return item.Mode&unix.S_IFMT == unix.S_IFREG }

// seeDpkg reads what is installed from dpkg's own files; it writes the list of files of a package that it installs.
func (f *found) seeDpkg(item pack.Item, content io.Reader) bool {
	if item.Path == dpkgStatus && isFile(item) {
		f.status = map[key]string{}
		readStatus(content, f.status)
		return true
	}
	file, ok := strings.CutPrefix(item.Path, dpkgInfo)
	name, isList := strings.CutSuffix(file, dpkgList)
	if !ok || !isList {
		return false
	}
	if item.Deleted {
		f.note(item, key{manager: apt, name: name}, "")
	} else {
		which := key{manager: apt, name: word(name)}
		f.touched[which] = true
		if item.Replaces {
			f.images[which] = ""
		}
	}
	return true
}

// settleDpkg takes in what dpkg says: all of it where both sides have that, and else what the pack itself brought, since
// the other side has what the image has.
func (f *found) settleDpkg(all bool) {
	for which, version := range f.status {
		if all || f.touched[which] {
			f.has[which] = version
		}
	}
}

// mostPackages is more than any distribution has.
const mostPackages = 200_000

// readStatus reads dpkg's paragraphs (deb822) of installed packages, under the names that its own files have.
func readStatus(content io.Reader, into map[key]string) {
	fields := map[string]string{}
	settle := func() {
		name := fields["Package"]
		if fields["Multi-Arch"] == "same" {
			name += ":" + fields["Architecture"]
		}
		if strings.HasSuffix(fields["Status"], " installed") && len(into) < mostPackages {
			into[key{manager: apt, name: word(name)}] = word(fields["Version"])
		}
		clear(fields)
	}
	eachLine(content, func(line string) {
		if line == "" {
			settle()
			return
		}
		switch name, value, _ := strings.Cut(line, ": "); name {
		case "Package", "Status", "Version", "Architecture", "Multi-Arch":
			fields[name] = word(value)
		}
	})
	settle()
}

// eachLine hands over the beginning of each line, however long it is.
func eachLine(content io.Reader, visit func(string)) {
	reader := bufio.NewReaderSize(content, 4<<10)
	for begins := true; ; {
		line, more, err := reader.ReadLine()
		if err != nil {
			return
		}
		if begins {
			visit(string(line))
		}
		begins = !more
	}
}

var separators = regexp.MustCompile(`[-_.]+`)

// seePip knows a distribution by its folder NAME-VERSION.dist-info, which has the same as METADATA in it, and of one that
// was deleted is all there is.
func (f *found) seePip(item pack.Item) bool {
	folder, ok := strings.CutSuffix(item.Path, ".dist-info/METADATA")
	if !ok {
		return false
	}
	place, base := path.Split(folder)
	name, version, _ := strings.Cut(base, "-")
	normalized := strings.ToLower(separators.ReplaceAllString(word(name), "-"))
	which := key{pip, normalized, word(place)}
	f.note(item, which, version)
	if item.Replaces {
		f.images[which] = word(version)
	}
	return true
}

// seeNpm knows packages that are installed by themselves, not those that they have in folders of their own.
func (f *found) seeNpm(item pack.Item, content io.Reader) bool {
	folder, ok := strings.CutSuffix(item.Path, "/package.json")
	place, name, inside := strings.Cut("/"+folder, "/node_modules/")
	steps := strings.Split(name, "/")
	isScope := strings.HasPrefix(name, "@")
	if !ok || !inside || len(steps) > 2 || (len(steps) == 2) != isScope {
		return false
	}
	var described struct{ Version string }
	if isFile(item) {
		// What makes no sense has no version; it may be anything.
		_ = json.NewDecoder(io.LimitReader(content, mostOfJSON)).Decode(&described)
	}
	which := key{npm, word(name), word(place)}
	f.note(item, which, described.Version)
	if item.Replaces {
		f.images[which] = ""
	}
	return true
}
