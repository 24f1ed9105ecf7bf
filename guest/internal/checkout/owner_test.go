package checkout

import (
	"crypto/rand"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// withMounts runs a test again in a mount namespace of its own, where it may mount, and says whether this is the one.
func withMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv("WITH_MOUNTS") == t.Name() {
		return true
	}
	command := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), "WITH_MOUNTS="+t.Name())
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func TestAWorkspaceThatIsTooSmallIsToldAndLeftEmpty(t *testing.T) {
	if !withMounts(t) {
		return
	}
	server, workspace := serve(t), t.TempDir()
	repository := server.publish(t, "public.git")
	work := t.TempDir()
	run(t, work, "clone", "-q", filepath.Join(server.folder, "public.git"), ".")
	noise := make([]byte, 2<<20)
	_, _ = rand.Read(noise)
	put(t, filepath.Join(work, "big"), string(noise))
	run(t, work, "add", "big")
	run(t, work, "commit", "-q", "-m", "big")
	run(t, work, "push", "-q", "origin", "HEAD:main")
	if err := unix.Mount("tmpfs", workspace, "tmpfs", 0, "size=3m"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(workspace, unix.MNT_DETACH) }()

	said := prepare(t, workspace, Wanted{Repository: repository, Branch: "b", Secret: server.secret(t, "")})

	contains(t, said, "no room for the repository")
	if got := names(t, workspace); got != "" {
		t.Errorf("the workspace holds %q", got)
	}
}

func TestWhatRootMakesBelongsToWhomTheRepositoryDoes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give away")
	}
	workspace := checkedOut(t, "sandbox/a")
	err := filepath.WalkDir(workspace, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 1001, 1000)
	})
	if err != nil {
		t.Fatal(err)
	}

	succeed(t, workspace, Wanted{Repository: where, Branch: "by/b"})

	for _, name := range []string{"HEAD", markFile, "refs/heads/by", "refs/heads/by/b"} {
		held, err := os.Lstat(filepath.Join(workspace, ".git", name))
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := held.Sys().(*syscall.Stat_t); status.Uid != 1001 || status.Gid != 1000 {
			t.Errorf("%s belongs to %d:%d", name, status.Uid, status.Gid)
		}
	}
}

func TestWhatRootClonesCanBeWrittenByTheWorkspacesGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("who is not root clones for itself")
	}
	server, workspace := serve(t), t.TempDir()
	succeed(t, workspace, Wanted{
		Repository: server.publish(t, "public.git"), Branch: "b", Secret: server.secret(t, ""),
	})
	err := filepath.WalkDir(workspace, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == workspace || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		held, err := entry.Info()
		if mode := held.Mode().Perm(); err == nil && mode>>6 != mode>>3&7 {
			t.Errorf("%s has %v", path, mode)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
