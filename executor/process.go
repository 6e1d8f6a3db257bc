package executor

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// A job's row names its owner's process, so that a process on the same machine
// can tell for certain that it has ended, and needs not wait for its lease. The
// name is boot/namespace/pid/start: pids are told apart within one boot of one
// kernel and one pid namespace, and a pid that is used again by its start. It is
// "" where the kernel doesn't tell, and says nothing then.

// processID is the name of this process.
var processID = sync.OnceValue(func() string {
	place := processPlace()
	start := processStart(os.Getpid())
	if place == "" || start == "" {
		return ""
	}
	return fmt.Sprintf("%s/%d/%s", place, os.Getpid(), start)
})

// processEnded tells whether a process is known to have ended. What can't be
// looked at has not.
func processEnded(id string) bool {
	if id == "" || id == processID() {
		return false
	}
	place := processPlace()
	rest, ok := strings.CutPrefix(id, place+"/")
	if place == "" || !ok {
		return false
	}
	var pid int
	var start string
	if n, err := fmt.Sscanf(rest, "%d/%s", &pid, &start); err != nil || n != 2 || processStart(os.Getpid()) == "" {
		return false
	}
	return processStart(pid) != start
}

// processPlace names the boot and the pid namespace.
func processPlace() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + space
}

// processStart is when a process has started, in ticks since the boot; "" when
// there is no such process, or one that has ended and was not waited for.
func processStart(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in parentheses may hold anything; the state is the field behind it,
	// the start the twentieth.
	_, fields, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	if !ok {
		return ""
	}
	list := strings.Fields(fields)
	if len(list) < 20 || list[0] == "Z" || list[0] == "X" {
		return ""
	}
	return list[19]
}
