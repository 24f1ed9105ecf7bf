package sandbox

import (
	"fmt"
	"time"

	"sandkeeper.dev/guest/internal/control"
	"sandkeeper.dev/guest/internal/gitstate"
	"sandkeeper.dev/guest/internal/pack"
	"sandkeeper.dev/guest/internal/volumes"
)

// After this, whoever writes all the time has written much again.
const longSinceSync = time.Second

// quiesce packs where something is kept, and brings to the disks all that was written until then.
//
// What had gathered is synced while it packs, so that the last sync, which may hold up whoever writes, has little to do.
func (s *Sandbox) quiesce(asking int) control.Answer {
	disks, err := volumes.Open(s.Settings.Workspace, s.Folder)
	if err != nil {
		return failed(fmt.Sprintf("the volumes can't be synced: %v", err))
	}
	defer disks.Close()
	early := make(chan error, 1)
	go func() {
		_, err := disks.Sync()
		early <- err
	}()
	looked := make(chan *gitstate.State, 1)
	go func() { looked <- s.checkout() }()
	began := time.Now()
	answer := s.packed(asking)
	err = <-early
	// Before the last sync, so that nobody else wants the disk then.
	answer.Git = <-looked
	if answer.Error != nil {
		return answer
	}
	if err == nil && time.Since(began) > longSinceSync {
		_, err = disks.Sync()
	}
	var pause time.Duration
	if err == nil {
		pause, err = disks.Sync()
	}
	if err != nil {
		return failed(fmt.Sprintf("the volumes can't be synced: %v", err))
	}
	seconds := pause.Seconds()
	answer.PauseSeconds = &seconds
	return answer
}

// packed packs; where nothing is kept, there is nothing to.
func (s *Sandbox) packed(asking int) control.Answer {
	if s.keeper == nil {
		return control.Answer{Result: &pack.Result{}}
	}
	return s.keeper.answer(asking)
}
