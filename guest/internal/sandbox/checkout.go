package sandbox

import (
	"time"

	"sandkeeper.dev/guest/internal/control"
	"sandkeeper.dev/guest/internal/gitstate"
)

// longestLook is how much later a sandbox may be packed or copied for the state of its checkout.
const longestLook = 2 * time.Second

// checkout tells where the sandbox's checkout stands; nil where it has none, or nobody can tell, which keeps nothing from
// being kept.
func (s *Sandbox) checkout() *gitstate.State {
	if !s.Settings.Git {
		return nil
	}
	state, err := gitstate.Ask(s.Worktree, s.Settings.Workspace, longestLook)
	if err != nil {
		s.say("of the checkout not all is known: %v", err)
	}
	return state
}

// packedAlone packs once all that looks at the checkout has ended: whoever runs beside a pack may write what it misses, and
// would have it made again at the sandbox's end.
func (s *Sandbox) packedAlone(asking int) control.Answer {
	git := s.checkout()
	answer := s.packed(asking)
	answer.Git = git
	return answer
}
