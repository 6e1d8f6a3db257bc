package executor

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProcessEnded(t *testing.T) {
	t.Parallel()
	me := processID()
	require.NotEmpty(t, me)
	require.LessOrEqual(t, len(me), 255)
	require.False(t, processEnded(me))
	require.False(t, processEnded(""))
	require.False(t, processEnded("another-boot/pid:[1]/1/1"), "nothing is known of another machine")
	require.False(t, processEnded(processPlace()+"/garbage"))

	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	start := processStart(cmd.Process.Pid)
	require.NotEmpty(t, start)
	name := strings.Replace(me, me[strings.LastIndex(me[:strings.LastIndex(me, "/")], "/"):], "", 1)
	require.Equal(t, processPlace(), name)
	child := name + "/" + itoa(cmd.Process.Pid) + "/" + start
	require.False(t, processEnded(child), "it lives")
	require.True(t, processEnded(name+"/"+itoa(cmd.Process.Pid)+"/"+start+"0"), "another one with its number does")
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
	require.True(t, processEnded(child))
}

func itoa(n int) string { return string(intValue(int64(n))) }
