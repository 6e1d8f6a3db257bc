package restores_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// TestArchivePlacement: tables of a full backup have their placement policies again, of which those that nothing names stay away; what is there is
// kept, what is in nobody's hands or places is told, and what a job has made for nothing is dropped.
func TestArchivePlacement(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dropAll := func() {
		b.exec("DROP DATABASE IF EXISTS `$_live`")
		for _, name := range []string{"$_near", "$_far", "$_unused"} {
			b.exec("DROP PLACEMENT POLICY IF EXISTS `" + name + "`")
		}
	}
	b.exec("CREATE DATABASE `$_live`", "CREATE TABLE `$_live`.t (a INT PRIMARY KEY) PARTITION BY HASH (a) (PARTITION p0, PARTITION p1)", "INSERT INTO `$_live`.t VALUES (1), (2)")
	_, made := b.again(brarchive.Options{})
	policy := func(name string, settings model.PlacementSettings) *model.PolicyInfo {
		return &model.PolicyInfo{Name: pmodel.NewCIStr(b.own(name)), PlacementSettings: &settings, State: model.StatePublic}
	}
	near, far := policy("$_near", model.PlacementSettings{PrimaryRegion: "mars", Regions: "mars"}), policy("$_far", model.PlacementSettings{Followers: 2})
	made.Change(t, func(db *model.DBInfo, table *model.TableInfo) {
		db.PlacementPolicyRef = &model.PolicyRefInfo{Name: far.Name}
		table.PlacementPolicyRef = db.PlacementPolicyRef
		table.Partition.Definitions[0].PlacementPolicyRef = &model.PolicyRefInfo{Name: near.Name}
	}, near, far, policy("$_unused", model.PlacementSettings{Followers: 2}))
	shown := func() []string {
		return append(b.rows("SHOW CREATE TABLE `$_live`.t"), b.rows("SHOW CREATE DATABASE `$_live`")...)
	}
	task := b.task()
	task.Location, task.Options.Checksum = made.Location, importcore.ChecksumRequired
	task.Selection = restore.Selection{Databases: []string{b.own("$_live")}}
	named := func() []string {
		return b.rows("SELECT SUBSTR(policy_name, LENGTH('$') + 1) FROM information_schema.placement_policies WHERE policy_name LIKE '$%' ORDER BY 1")
	}
	dropAll()

	sum := b.restore(task)
	want := shown()
	require.Contains(t, want[0], b.own("COLLATE=utf8mb4_bin /*T![placement] PLACEMENT POLICY=`$_far` */\nPARTITION BY HASH (`a`)\n(PARTITION `p0` /*T![placement] PLACEMENT POLICY=`$_near` */,\n PARTITION `p1`)"))
	require.Contains(t, want[1], b.own("PLACEMENT POLICY=`$_far`"))
	require.Equal(t, []string{"_far", "_near"}, named())
	require.Contains(t, strings.Join(sum.Warnings, "\n"), `names the region "mars", which no store has`)

	dropAll()
	b.exec("CREATE PLACEMENT POLICY `$_far` FOLLOWERS = 1")
	sum = b.restore(task)
	require.Contains(t, strings.Join(sum.Warnings, "\n"), b.own("the placement policy `$_far` exists already and stays as it is: it has FOLLOWERS=1, and in the archive FOLLOWERS=2"))
	require.Equal(t, want, shown())
	dropAll()

	files, err := filepath.Glob(filepath.Join(made.Dir, "*", "*_write.sst"))
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		data[len(data)/4] ^= 0x20
		require.NoError(t, os.WriteFile(file, data, 0o600))
	}
	b.fails(task, "what the job had made was dropped")
	require.Empty(t, named())

	made.Change(t, func(_ *model.DBInfo, table *model.TableInfo) {
		table.Partition.Definitions[0].PlacementPolicyRef.Name = pmodel.NewCIStr("nobodys")
	})
	b.fails(task, "table `$_live`.`t` names the placement policy `nobodys`, which neither the archive nor the cluster has")
}

// TestArchiveTiFlash: a cluster without TiFlash takes tables without their replicas, and says so.
func TestArchiveTiFlash(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE DATABASE `$_live`", "CREATE TABLE `$_live`.t (a INT PRIMARY KEY)", "INSERT INTO `$_live`.t VALUES (1), (2)")
	task, made := b.again(brarchive.Options{})
	b.drop(b.own("$_live"), b.own("$_again"))
	made.Change(t, func(_ *model.DBInfo, table *model.TableInfo) {
		table.TiFlashReplica = &model.TiFlashReplicaInfo{Count: 2, LocationLabels: []string{"zone", "it's"}, Available: true}
	})
	task.Options.WaitTiFlashReady = true
	sum := b.restore(task)
	require.Contains(t, strings.Join(sum.Warnings, "\n"), b.own("table `$_again`.`t`: the table is restored without its TiFlash replicas (2): "))
	require.Equal(t, []string{"1", "2"}, b.rows("SELECT a FROM `$_again`.t"))
}
