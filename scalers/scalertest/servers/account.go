package servers

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// account is whom a server runs as: the databases refuse to run as root.
type account struct {
	// credential is nil when the server runs as whoever runs the tests.
	credential *syscall.Credential
}

// accountOf returns the named account when this process is root, and its own otherwise.
func accountOf(name, apt string) (account, error) {
	if os.Getuid() != 0 {
		return account{}, nil
	}
	found, err := user.Lookup(name)
	if err != nil {
		return account{}, fmt.Errorf("account %s: %w; install it with: apt-get install %s", name, err, apt)
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("account %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("account %s: %w", name, err)
	}
	return account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// command is a command of the account's, in the directory.
func (a account) command(dir, binary string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	// Nothing of the environment of the tests, such as PGHOST, reaches the server.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C", "LC_ALL=C"}
	if a.credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential}
	}
	return cmd
}

// own hands a file or a directory, and what is in it, to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return filepath.WalkDir(path, func(file string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(file, int(a.credential.Uid), int(a.credential.Gid))
	})
}

// directory makes a temporary directory of the account's.
func (a account) directory(name string) (string, error) {
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		return "", fmt.Errorf("directory of %s: %w", name, err)
	}
	if err := a.own(dir); err != nil {
		return "", fmt.Errorf("directory of %s: %w", name, err)
	}
	return dir, nil
}

// write writes files of the account's into a directory.
func (a account) write(dir string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
		if err := a.own(path); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
	}
	return nil
}

// run runs a command to its end; the error holds what it said.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}

// find returns the path of a binary that is in PATH or in a directory that matches the pattern, the last of several.
func find(binary, pattern, apt string) (string, error) {
	if path, err := exec.LookPath(binary); err == nil {
		return path, nil
	}
	// The pattern is a constant and valid.
	matches, _ := filepath.Glob(filepath.Join(pattern, binary))
	if len(matches) == 0 {
		return "", installed(apt, binary)
	}
	slices.Sort(matches)
	return matches[len(matches)-1], nil
}
