package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is USER_HZ, the unit of CPU times in /proc, which is 100 on
// every architecture that Go has.
const ticksPerSecond = 100

// tmpfsMagic is the f_type of a tmpfs (statfs(2)).
const tmpfsMagic = 0x01021994

// cpuTime returns user and system time of all threads of a process, of those
// that have ended too.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0, err
	}
	stat, err := parseStat(text)
	return stat.cpu, err
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

type procStat struct {
	parent int
	cpu    time.Duration
}

// parseStat reads /proc/PID/stat (proc_pid_stat(5)). The name in parentheses
// may hold anything, parentheses and spaces included.
func parseStat(text []byte) (procStat, error) {
	const firstAfterName, parent, utime, stime = 3, 4, 14, 15 // numbers of proc_pid_stat(5)
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("no process name in %q", text)
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) <= stime-firstAfterName {
		return procStat{}, fmt.Errorf("only %d fields after the process name in %q", len(fields), text)
	}
	var numbers [3]int64
	for i, field := range []int{parent, utime, stime} {
		n, err := strconv.ParseInt(fields[field-firstAfterName], 10, 64)
		if err != nil {
			return procStat{}, fmt.Errorf("field %d of a process: %w", field, err)
		}
		numbers[i] = n
	}
	return procStat{
		parent: int(numbers[0]),
		cpu:    time.Duration(numbers[1]+numbers[2]) * time.Second / ticksPerSecond,
	}, nil
}

// peakMemory returns the largest resident size of a process in bytes.
func peakMemory(pid int) (int64, error) {
	n, err := procNumber(pid, "status", "VmHWM")
	return n << 10, err // counted in KiB
}

// writtenBytes returns how many bytes a process has caused to be written to disk.
func writtenBytes(pid int) (int64, error) { return procNumber(pid, "io", "write_bytes") }

func procNumber(pid int, file, name string) (int64, error) {
	text, err := os.ReadFile(procFile(pid, file))
	if err != nil {
		return 0, err
	}
	n, err := parseNamed(text, name)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", procFile(pid, file), err)
	}
	return n, nil
}

// parseNamed finds a line "name: number" and returns the number, without its unit.
func parseNamed(text []byte, name string) (int64, error) {
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0, fmt.Errorf("line %q has no number", line)
		}
		return strconv.ParseInt(fields[0], 10, 64)
	}
	return 0, fmt.Errorf("no line %s", name)
}

// resetPeak makes the largest resident size that of this moment (proc_pid_clear_refs(5)).
func resetPeak(pid int) error {
	return os.WriteFile(procFile(pid, "clear_refs"), []byte("5"), 0)
}

// writtenByChildren returns how many bytes the processes that this one has
// waited for have caused to be written to disk.
func writtenByChildren() (int64, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		return 0, err
	}
	return usage.Oublock * 512, nil // getrusage(2) counts sectors
}

// children returns the running child processes of this one.
func children() (map[int]bool, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	found := map[int]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		stat, err := parseStat(text)
		if err != nil {
			return nil, err
		}
		if stat.parent != os.Getpid() {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		found[pid] = true
	}
	return found, nil
}

// checkDisk refuses a directory whose writes the kernel does not count.
func checkDisk(dir string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if fs.Type == tmpfsMagic {
		return fmt.Errorf("%s is a tmpfs, whose writes the kernel doesn't count; name a directory on a disk with -dir", dir)
	}
	return nil
}
