package cluster_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/cluster/clustertest"
)

const parentVariable = "AUTOSCALE_TEST_PARENT"

// groupMembers lists the living processes of process groups, as "pid name".
func groupMembers(t *testing.T, groups map[int]string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(paths) == 0 {
		t.Fatalf("reading /proc: %v, %d processes", err, len(paths))
	}
	var members []string
	for _, path := range paths {
		state, group, ok := readStat(path)
		if name, wanted := groups[group]; ok && wanted && state != "Z" {
			members = append(members, filepath.Base(filepath.Dir(path))+" "+name)
		}
	}
	return members
}

// readStat returns the state and the process group; ok is false if the process is gone.
func readStat(path string) (state string, group int, ok bool) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", 0, false
	}
	// The second field is the name in parentheses, which may hold blanks.
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
	group, err = strconv.Atoi(fields[2])
	return fields[0], group, err == nil
}

func shell(t *testing.T, script string) cluster.Command {
	t.Helper()
	return cluster.Command{Name: "script", Path: "sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")}
}

func TestProcessEndIsNoticed(t *testing.T) {
	p := clustertest.Process(t, shell(t, "echo hello; exit 3"))
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the end was not noticed")
	}
	if p.Running() {
		t.Error("an ended process is said to run")
	}
	if got := p.LogTail(); got != "hello" {
		t.Errorf("log %q, wanted hello", got)
	}
	for verb, err := range map[string]error{"pause": p.Pause(), "resume": p.Resume()} {
		want := "cannot " + verb + " script: it does not run"
		if err == nil || err.Error() != want {
			t.Errorf("%v, wanted %s", err, want)
		}
	}
}

func TestProcessThatIsNeverReadyIsKilled(t *testing.T) {
	command := shell(t, "echo first; exec sleep 1000")
	command.Ready = func(context.Context) error { return fmt.Errorf("no answer") }
	command.ReadyTimeout = 300 * time.Millisecond
	p := cluster.NewProcess(command)
	err := p.Start(t.Context())
	want := "script was not ready in time: no answer\nits log " + command.Log + " ends:\nfirst"
	if err == nil || err.Error() != want {
		t.Errorf("Start: %v, wanted %s", err, want)
	}
	if p.Running() {
		t.Error("it still runs")
	}
}

// TestProcessThatCrashes is started once more if it is known to crash, and not a third time.
func TestProcessThatCrashes(t *testing.T) {
	for _, c := range []struct {
		known, starts bool
		crashes       int
	}{{true, true, 0}, {true, true, 1}, {true, false, 2}, {false, false, 1}} {
		command := shell(t, fmt.Sprintf("echo life | tee -a lives; test $(wc -l < lives) -gt %d || exit 3; touch ready; exec sleep 1000", c.crashes))
		command.Crashes, command.Dir = c.known, t.TempDir()
		command.Ready = func(context.Context) error {
			_, err := os.Stat(filepath.Join(command.Dir, "ready"))
			return err
		}
		p := cluster.NewProcess(command)
		t.Cleanup(func() { _ = p.Kill() })
		err := p.Start(t.Context())
		want := "script ended before it was ready (exit status 3)\nits log " + command.Log + " ends:\nlife"
		if c.starts && err != nil || !c.starts && (err == nil || err.Error() != want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestProcessStartsOnce(t *testing.T) {
	p := clustertest.Process(t, shell(t, "exec sleep 1000"))
	err := p.Start(t.Context())
	want := fmt.Sprintf("script already runs as process %d; stop it first or call Restart", p.PID())
	if err == nil || err.Error() != want {
		t.Errorf("a second Start: %v, wanted %s", err, want)
	}
}

func TestStopEndsPausedProcess(t *testing.T) {
	p := clustertest.Process(t, shell(t, "exec sleep 1000"))
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if state, _, _ := readStat(fmt.Sprintf("/proc/%d/stat", p.PID())); state != "T" {
		t.Errorf("state %q of a paused process, wanted T", state)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if p.Running() {
		t.Error("it still runs")
	}
}

func TestStopKillsTheStubborn(t *testing.T) {
	command := shell(t, "trap '' TERM; touch ready; while :; do sleep 0.1; done")
	command.Dir = t.TempDir()
	command.Ready = func(context.Context) error {
		_, err := os.Stat(filepath.Join(command.Dir, "ready"))
		return err
	}
	command.StopTimeout = 300 * time.Millisecond
	p := clustertest.Process(t, command)
	err := p.Stop()
	want := "script did not end within 300ms of SIGTERM and was killed; its log is " + command.Log
	if err == nil || err.Error() != want {
		t.Errorf("Stop: %v, wanted %s", err, want)
	}
	if p.Running() {
		t.Error("it still runs")
	}
}

func TestGroupEndsWithItsLeader(t *testing.T) {
	p := clustertest.Process(t, shell(t, "sleep 1000 & exit 0"))
	<-p.Done()
	eventually(t, func(context.Context) error {
		if members := groupMembers(t, map[int]string{p.PID(): "sleep"}); len(members) > 0 {
			return fmt.Errorf("left behind: %v", members)
		}
		return nil
	})
}

// beParent is the life of the helper in TestProcessDiesWithItsParent.
func beParent() {
	p := cluster.NewProcess(cluster.Command{Path: "sleep", Args: []string{"1000"}, Log: os.DevNull})
	if err := p.Start(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	select {}
}

func TestProcessDiesWithItsParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), parentVariable+"=1")
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-child, syscall.SIGKILL) })
	if members := groupMembers(t, map[int]string{child: "sleep"}); len(members) != 1 {
		t.Fatalf("the child of a living parent: %v, wanted one process", members)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // "signal: killed"
	eventually(t, func(context.Context) error {
		if members := groupMembers(t, map[int]string{child: "sleep"}); len(members) > 0 {
			return fmt.Errorf("alive after its parent: %v", members)
		}
		return nil
	})
}
