package checkout

import (
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
)

// start is where a sandbox's branch begins; the zero one in a repository without commits.
type start struct {
	hash plumbing.Hash
	// continued says that the server has the branch already.
	continued bool
	// main is the branch that the server calls its HEAD; empty where it calls none.
	main string
}

// startOf chooses among what a server offers: the sandbox's branch where it was pushed before, else the ref.
func startOf(offered []*plumbing.Reference, wanted Wanted) (start, error) {
	byName := map[plumbing.ReferenceName]*plumbing.Reference{}
	for _, reference := range offered {
		byName[reference.Name()] = reference
	}
	main := ""
	if head := byName[plumbing.HEAD]; head != nil && head.Target().IsBranch() {
		main = head.Target().Short()
	}
	if pushed, ok := byName[plumbing.NewBranchReferenceName(wanted.Branch)]; ok {
		return start{pushed.Hash(), true, main}, nil
	}
	hash, err := begin(byName, wanted)
	return start{hash: hash, main: main}, err
}

func begin(byName map[plumbing.ReferenceName]*plumbing.Reference, wanted Wanted) (plumbing.Hash, error) {
	if wanted.Ref == "" {
		return beginAtHead(byName)
	}
	for _, name := range []plumbing.ReferenceName{
		plumbing.NewBranchReferenceName(wanted.Ref),
		plumbing.NewTagReferenceName(wanted.Ref),
		plumbing.ReferenceName(wanted.Ref),
	} {
		if found, ok := byName[name]; ok && !found.Hash().IsZero() {
			return found.Hash(), nil
		}
	}
	if plumbing.IsHash(wanted.Ref) {
		return plumbing.NewHash(wanted.Ref), nil
	}
	return plumbing.ZeroHash, unknown(wanted)
}

func beginAtHead(byName map[plumbing.ReferenceName]*plumbing.Reference) (plumbing.Hash, error) {
	found := byName[plumbing.HEAD]
	if found != nil && found.Type() == plumbing.SymbolicReference {
		found = byName[found.Target()]
	}
	if found == nil {
		return plumbing.ZeroHash, refuse("the repository's HEAD leads to no branch: name one as spec.git.ref")
	}
	return found.Hash(), nil
}

// commit is the commit itself, where a tag with a message names it.
func (s start) commit(repository *git.Repository, wanted Wanted) (plumbing.Hash, error) {
	if tag, err := repository.TagObject(s.hash); err == nil {
		commit, err := tag.Commit()
		if err != nil {
			return plumbing.ZeroHash, refuse("spec.git.ref %q is a tag of something else than a commit", wanted.Ref)
		}
		return commit.Hash, nil
	}
	if _, err := repository.CommitObject(s.hash); err != nil {
		return plumbing.ZeroHash, unknown(wanted)
	}
	return s.hash, nil
}

func unknown(wanted Wanted) error {
	return refuse("the repository has no branch, tag or commit %q, which spec.git.ref names", wanted.Ref)
}
