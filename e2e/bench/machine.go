package bench

import (
	"fmt"
	"runtime"
	"time"

	"github.com/prometheus/procfs"
)

// Machine is where a run was made.
type Machine struct {
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memoryGiB"`
	Go        string  `json:"go"`
	OS        string  `json:"os"`
	// Load is the average of the last minute before the run: what else the machine did.
	Load float64 `json:"load"`
}

func thisMachine() (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return m, fmt.Errorf("read /proc, which the benchmark measures with: %w", err)
	}
	if infos, err := fs.CPUInfo(); err == nil && len(infos) > 0 {
		m.CPU = infos[0].ModelName
	}
	if memory, err := fs.Meminfo(); err == nil && memory.MemTotal != nil {
		m.MemoryGiB = float64(*memory.MemTotal) / (1 << 20)
	}
	load, err := fs.LoadAvg()
	if err != nil {
		return m, fmt.Errorf("read the load of the machine: %w", err)
	}
	m.Load = load.Load1
	return m, nil
}

// spent is what a process has used.
type spent struct {
	at  time.Time
	cpu float64
}

func cpuOf(pid int) (spent, error) {
	stat, err := statOf(pid)
	if err != nil {
		return spent{}, err
	}
	return spent{time.Now(), stat.CPUTime()}, nil
}

// percent of one core since before.
func (s spent) percent(before spent) float64 {
	return 100 * (s.cpu - before.cpu) / s.at.Sub(before.at).Seconds()
}

func rssOf(pid int) (mib float64, err error) {
	stat, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	return float64(stat.ResidentMemory()) / (1 << 20), nil
}

func statOf(pid int) (procfs.ProcStat, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return proc.Stat()
}
