package imports_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// stateOf runs SHOW or REPAIR IMPORT CLUSTER STATE.
func (b *bench) stateOf(verb string) (out []jobRow) {
	b.t.Helper()
	columns, values, err := rows(b.t, b.proxy, verb+" IMPORT CLUSTER STATE")
	require.NoError(b.t, err)
	for _, row := range values {
		r := jobRow{}
		for i, c := range columns {
			r[c] = row[i]
		}
		out = append(out, r)
	}
	return out
}

func column(list []jobRow, name string) (out []string) {
	for _, r := range list {
		out = append(out, r[name])
	}
	return out
}

// TestClusterStateOfARunningJob: what a job holds is shown with the job and its owner while it is held.
func TestClusterStateOfARunningJob(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	b.exec("CREATE TABLE t " + cleanupTable)
	require.Empty(t, b.stateOf("SHOW"))
	b.inject(fault.Rule{RPC: rpcWrite, Kind: fault.Hold})
	_, values, err := rows(t, b.proxy, fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached", b.csvFile("x.csv", 100)))
	require.NoError(t, err)
	job := values[0][0]
	eventually(t, func() bool { return b.fired(rpcWrite) > 0 })

	state := b.stateOf("SHOW")
	require.Equal(t, []string{"import-mode", "partition-range", "schedulers"}, column(state, "Kind"))
	for _, c := range state {
		require.Equal(t, "held", c["State"], c)
		require.Equal(t, job, c["Job_ID"])
		require.NotEqual(t, "NULL", c["Held_By"])
		require.Less(t, c["Taken_Time"], c["Expires_Time"])
	}
	require.Regexp(t, `^sluice-job-\d+-`, state[2]["Name"])
	require.Regexp(t, `^\[74[0-9a-f]+, 74[0-9a-f]+\)`, state[2]["Key_Ranges"], "keys of tables begin with t")
	require.Empty(t, b.stateOf("REPAIR"), "nothing that is held is undone")
	require.Equal(t, state, b.stateOf("SHOW"))

	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	require.Equal(t, "finished", b.ended(job)["Status"])
	require.Empty(t, b.stateOf("SHOW"))
}

// TestClusterStateIsPutRight: what a process that was killed had changed in the cluster
// is undone by the others, though its job is cancelled and nobody goes on with it.
func TestClusterStateIsPutRight(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	b.exec("CREATE TABLE t " + cleanupTable)
	before := steering(t, b.cluster)
	victim, err := instance.Start(t.Context(), instance.Options{TiDB: b.cluster.TiDB, Race: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, victim.Close()) }()
	proxy, err := victim.Open("root", "", b.name)
	require.NoError(t, err)
	b.inject(fault.Rule{RPC: rpcWrite, Kind: fault.Hold})
	_, values, err := rows(t, proxy, fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached", b.csvFile("x.csv", 100)))
	require.NoError(t, err)
	require.NoError(t, proxy.Close())
	eventually(t, func() bool { return b.fired(rpcWrite) > 0 })
	victim.Kill()
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	require.NoError(t, os.RemoveAll(victim.SortDir()))
	b.exec("CANCEL IMPORT JOB " + values[0][0])
	eventually(t, func() bool { return len(b.stateOf("SHOW")) == 0 })
	require.Equal(t, before, steering(t, b.cluster))
	require.Equal(t, "0", b.count("t"))
}

// TestRepairClusterState: what no Sluice has a note of is undone by REPAIR only,
// and what isn't Sluice's never.
func TestRepairClusterState(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	before := steering(t, b.cluster)
	for _, id := range []string{"sluice-job-7-abc", "somebody-else"} {
		rule := fmt.Sprintf(`{"id": %q, "labels": [{"key": "schedule", "value": "deny", "ttl": "1h"}], "rule_type": "key-range", `+
			`"data": [{"start_key": "7480", "end_key": "7481"}]}`, id)
		resp, err := http.Post("http://"+b.cluster.PD+"/pd/api/v1/config/region-label/rule", "application/json", bytes.NewBufferString(rule))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	state := b.stateOf("SHOW")
	require.Len(t, state, 1)
	require.Equal(t, jobRow{"Kind": "schedulers", "State": "left behind", "Job_ID": "7", "Held_By": "NULL", "Name": "sluice-job-7-abc",
		"Key_Ranges": "NULL", "Taken_Time": "NULL", "Expires_Time": "NULL"}, state[0])
	state[0]["State"] = "put right"
	require.Equal(t, state, b.stateOf("REPAIR"))
	require.Empty(t, b.stateOf("SHOW"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+b.cluster.PD+"/pd/api/v1/config/region-label/rule/somebody-else", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode, "it was there")
	require.Equal(t, before, steering(t, b.cluster))

	b.exec("CREATE USER plain")
	defer b.exec("DROP USER plain")
	plain, err := b.sluice.Open("plain", "", "")
	require.NoError(t, err)
	defer func() { require.NoError(t, plain.Close()) }()
	for _, stmt := range []string{"SHOW IMPORT CLUSTER STATE", "REPAIR IMPORT CLUSTER STATE"} {
		_, _, err := rows(t, plain, stmt)
		requireMySQLError(t, stmt, err, 1227, "SUPER")
	}
}
