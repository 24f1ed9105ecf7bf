package install

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	aptGet     = "apt-get"
	apkProgram = "apk"
	npmProgram = "npm"
)

// installers are the lines by which package managers tell why they failed, the most telling first.
var installers = []pattern{
	regexp.MustCompile(`^E: (Unable to locate package|Version |Package .*no installation candidate)`),
	regexp.MustCompile(`^dpkg: error processing`),
	regexp.MustCompile(` : (Pre)?Depends: .* but `),
	regexp.MustCompile(`\(no such package\)`),
	regexp.MustCompile(`^ERROR: No matching distribution found`),
	regexp.MustCompile(`^npm (ERR!|error) .*(not in this registry|could not be found|No matching version)`),
	regexp.MustCompile(`^npm (ERR!|error) 404 .* - GET `),
	regexp.MustCompile(`^npm (ERR!|error) .*(Error: |reason: )`),
	regexp.MustCompile(`^E: `),
	regexp.MustCompile(`^(ERROR|error): `),
	regexp.MustCompile(`^npm (ERR!|error) code `),
	// Not a failure to apt and apk themselves, but why the package is then unknown to them.
	regexp.MustCompile(`^(W: Failed to fetch|WARNING: .*(fetching|opening|updating) )`),
}

// apt asks nobody anything: a question would wait for ever.
var aptVariables = []string{"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true"}

// aptOptions hold for every call: a configuration file that was changed stays, a network that fails is tried again
// with growing pauses, and a lock that somebody holds is waited for.
var aptOptions = []string{
	"--quiet", "--yes",
	"-o", "Dpkg::Options::=--force-confdef",
	"-o", "Dpkg::Options::=--force-confold",
	"-o", "Dpkg::Use-Pty=0",
	"-o", "DPkg::Lock::Timeout=60",
	"-o", "Acquire::Retries=3",
}

// apt installs Debian packages, without those that they only recommend, as is usual in images.
func (r *run) apt(packages []string) error {
	if err := r.usable("apt", aptGet, "apk", apkProgram); err != nil {
		return err
	}
	if err := r.prepareApt(); err != nil {
		return err
	}
	// A version that is asked for may be an older one.
	words := append([]string{"install", "--no-install-recommends", "--allow-downgrades", "--"}, packages...)
	if err := r.aptGet(words...); err != nil {
		return err
	}
	// Downloaded archives would only make the pack larger.
	return r.aptGet("clean")
}

// prepareApt repairs what a killed run left, and gets the lists, once.
func (r *run) prepareApt() error {
	if r.aptReady {
		return nil
	}
	r.rememberAptLists()
	if err := r.execute(aptVariables, "dpkg", "--configure", "--pending", "--force-confdef", "--force-confold"); err != nil {
		return err
	}
	if err := r.aptGet("update"); err != nil {
		return err
	}
	if err := r.repairApt(); err != nil {
		return err
	}
	r.aptReady = true
	return nil
}

// repairApt brings in again what was cut short while it was unpacked, which apt itself takes for installed, and what
// others need and is not there.
func (r *run) repairApt() error {
	if broken, _ := r.quiet("dpkg", "--audit"); broken == "" {
		return nil
	}
	states, _ := r.quiet("dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}|${binary:Package}\n")
	words := []string{"install", "--reinstall", "--no-install-recommends", "--"}
	torn := len(words)
	for line := range strings.Lines(states) {
		// The third letter is R for a package that has to be unpacked anew.
		if state, name, ok := strings.Cut(strings.TrimSpace(line), "|"); ok && strings.HasSuffix(state, "R") {
			words = append(words, name)
		}
	}
	if len(words) > torn {
		if err := r.aptGet(words...); err != nil {
			return err
		}
	}
	return r.aptGet("install", "--fix-broken")
}

func (r *run) aptGet(words ...string) error {
	return r.execute(aptVariables, aptGet, append(aptOptions[:len(aptOptions):len(aptOptions)], words...)...)
}

// rememberAptLists notes whether the image came without lists, as most do: such get none either.
func (r *run) rememberAptLists() {
	folder := filepath.Join(r.root, "var/lib/apt/lists")
	if names, err := filepath.Glob(filepath.Join(folder, "*_*")); err == nil && len(names) == 0 {
		r.aptLists = folder
	}
}

// forgetAptLists removes the lists, which would make a pack larger by tens of megabytes.
func (r *run) forgetAptLists() {
	if r.aptLists == "" {
		return
	}
	names, _ := filepath.Glob(filepath.Join(r.aptLists, "*"))
	for _, name := range names {
		_ = os.RemoveAll(name)
	}
	r.aptLists, r.aptReady = "", false
}

// apk installs Alpine packages and keeps no index.
func (r *run) apk(packages []string) error {
	if err := r.usable("apk", apkProgram, "apt", aptGet); err != nil {
		return err
	}
	words := append([]string{"add", "--no-cache", "--no-progress", "--wait", "60", "--"}, packages...)
	return r.execute(nil, apkProgram, words...)
}

// npmVariables keep npm to its work: no news, no reports to the registry.
var npmVariables = []string{"npm_config_fund=false", "npm_config_audit=false", "npm_config_update_notifier=false"}

// npm installs programs and libraries for everybody in the sandbox.
func (r *run) npm(packages []string) error {
	if !has(npmProgram) {
		if err := r.systemPackages("npm", "npm", "npm"); err != nil {
			return err
		}
	}
	variables := npmVariables
	if cache, err := os.MkdirTemp("", "npm-"); err == nil {
		// What npm downloaded would only make the pack larger.
		defer func() { _ = os.RemoveAll(cache) }()
		variables = append(variables[:len(variables):len(variables)], "npm_config_cache="+cache)
	}
	return r.execute(variables, npmProgram, append([]string{"install", "--global", "--"}, packages...)...)
}
