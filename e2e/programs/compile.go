package programs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Job is the compilation of programs of one module.
type Job struct {
	// What names the programs for people.
	What string
	// Dir is a folder of the module.
	Dir string
	// Packages are those of the programs. Each program is named after the folder of its package.
	Packages []string
	// Into is the folder for the programs.
	Into string
	// Link are more flags of the linker. Optional.
	Link []string
}

// Compile downloads the modules, compiles and links the programs, and shows on w how far it is. It compiles only what
// the go command has not compiled before.
func (j Job) Compile(ctx context.Context, w io.Writer) error {
	screen := newScreen(w)
	defer screen.clear()
	screen.line("building " + j.What)
	start := time.Now()
	scratch, err := newScratch()
	if err != nil {
		return err
	}
	defer scratch.remove()
	work, err := j.plan(ctx, screen, scratch)
	if err != nil {
		return fmt.Errorf("preparing to build %s: %w", j.What, err)
	}
	meter := newMeter(work)
	screen.line(meter.forecast())
	lines := &lines{take: meter.compiles}
	cmd := goCommand(ctx, j.Dir, j.args()...)
	cmd.Stdout, cmd.Stderr = lines, lines
	begun := time.Now()
	err = screen.while(func() error { return scratch.run(ctx, cmd) }, func() string { return meter.text(time.Since(begun), time.Since(start)) })
	elapsed := time.Since(start).Round(time.Second)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("building %s in %s failed after %s: %w\n%s", j.What, j.Dir, elapsed, err, lines.rest())
	}
	screen.line(fmt.Sprintf("built %s in %s, %d packages", j.What, elapsed, len(work.pending)))
	return nil
}

func (j Job) args() []string {
	args := append([]string{"build", "-v"}, sharedFlags()...)
	args = append(args, "-ldflags="+strings.Join(append([]string{"-s", "-w"}, j.Link...), " "), "-o", j.Into+string(filepath.Separator))
	return append(args, j.Packages...)
}

// work is what is to be done.
type work struct {
	// pending holds the packages to compile, each with the bytes of its sources.
	pending map[string]int64
	// packages is how many packages the programs have in all.
	packages int
}

// plan downloads the modules and finds the packages that the go command has not compiled before.
func (j Job) plan(ctx context.Context, screen *screen, scratch scratch) (work, error) {
	const format = `{{.ImportPath}}{{"\t"}}{{.Stale}}{{"\t"}}{{.Dir}}{{range .GoFiles}}{{"\t"}}{{.}}{{end}}`
	args := append([]string{"list", "-deps", "-f", format}, sharedFlags()...)
	args = append(args, j.Packages...)
	var mu sync.Mutex
	modules := 0
	messages := &lines{take: func(line string) bool {
		if !strings.HasPrefix(line, "go: downloading ") {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		modules++
		return true
	}}
	var output bytes.Buffer
	cmd := goCommand(ctx, j.Dir, args...)
	cmd.Stdout, cmd.Stderr = &output, messages
	start := time.Now()
	err := screen.while(func() error { return scratch.run(ctx, cmd) }, func() string {
		mu.Lock()
		defer mu.Unlock()
		return fmt.Sprintf("finding what is to be compiled; %d modules downloaded; %s elapsed", modules, short(time.Since(start)))
	})
	if err != nil {
		return work{}, goError(ctx, []string{"list", "-deps"}, err, messages.rest())
	}
	return planned(output.String())
}

// planned reads the list of packages.
func planned(list string) (work, error) {
	w := work{pending: map[string]int64{}}
	for line := range strings.Lines(list) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) < 3 {
			return work{}, fmt.Errorf("go list has printed %q; wanted three fields at least", line)
		}
		w.packages++
		if fields[1] != "true" {
			continue
		}
		size := int64(0)
		for _, name := range fields[3:] {
			info, err := os.Stat(filepath.Join(fields[2], name))
			if err != nil {
				return work{}, err
			}
			size += info.Size()
		}
		w.pending[fields[0]] = size
	}
	return w, nil
}

// lines splits what is written into lines and keeps those that take does not take.
type lines struct {
	take func(line string) bool

	mu      sync.Mutex
	partial []byte
	kept    strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, text...)
	for {
		line, after, found := bytes.Cut(l.partial, []byte("\n"))
		if !found {
			return len(text), nil
		}
		if !l.take(string(line)) {
			l.kept.Write(line)
			l.kept.WriteByte('\n')
		}
		l.partial = after
	}
}

// rest returns the lines that were not taken.
func (l *lines) rest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.String() + string(l.partial)
}
