package install

import "slices"

// pipCommands are the ways to call pip, the Python that a user calls first.
var pipCommands = [][]string{{"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"pip3"}, {"pip"}}

// pipVariables let pip install beside the distribution's packages, which it otherwise refuses where the image has no
// virtual environment (PEP 668): a sandbox is what such an environment is for. A pip that does not know a setting
// ignores its variable. What was downloaded is not kept: it would only make the pack larger.
var pipVariables = []string{
	"PIP_BREAK_SYSTEM_PACKAGES=1",
	"PIP_ROOT_USER_ACTION=ignore",
	"PIP_DISABLE_PIP_VERSION_CHECK=1",
	"PIP_NO_CACHE_DIR=1",
	"PIP_NO_INPUT=1",
	"PIP_PROGRESS_BAR=off",
}

// pip installs Python packages for the Python that is first on the path.
func (r *run) pip(packages []string) error {
	command, ok := r.pipCommand()
	if !ok {
		if err := r.bootstrapPip(); err != nil {
			return err
		}
		if command, ok = r.pipCommand(); !ok {
			return r.failed(codeMissing, "pip is not in "+r.image()+", even after its package was installed")
		}
	}
	words := slices.Concat(command[1:], []string{"install", "--"}, packages)
	return r.execute(pipVariables, command[0], words...)
}

func (r *run) pipCommand() ([]string, bool) {
	for _, command := range pipCommands {
		if _, ok := r.quiet(command[0], append(command[1:len(command):len(command)], "--version")...); ok {
			return command, true
		}
	}
	return nil, false
}

// bootstrapPip takes the pip that Python itself brings, and else the distribution's.
func (r *run) bootstrapPip() error {
	for _, python := range []string{"python3", "python"} {
		if _, ok := r.quiet(python, "-m", "ensurepip"); ok {
			return nil
		}
	}
	return r.systemPackages("pip", "python3-pip", "py3-pip")
}
