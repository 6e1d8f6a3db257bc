package schema_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
)

// targets moves a.t to b.u, everything else of a to b, and leaves the rest.
func targets(o schema.Object) schema.Object {
	switch {
	case strings.EqualFold(o.DB, "a") && strings.EqualFold(o.Name, "t"):
		return schema.Object{DB: "b", Name: "u"}
	case strings.EqualFold(o.DB, "a"):
		return schema.Object{DB: "b", Name: o.Name}
	}
	return o
}

func file(text string) *schema.File { return &schema.File{Path: "/d/file.sql", Text: text} }

func TestReadTable(t *testing.T) {
	for text, want := range map[string]string{
		"CREATE TABLE `x` (`a` int) ENGINE=InnoDB": "CREATE TABLE `b`.`u` (`a` INT) ENGINE = InnoDB",
		"/*!40101 SET NAMES binary*/;\nCREATE TABLE IF NOT EXISTS `a`.`t` (a varchar(3) DEFAULT 'a\\'b\\\\' COMMENT 'c\\\\', e enum('d\\\\'), FOREIGN KEY (a) REFERENCES p (a));": "CREATE TABLE `b`.`u` (" +
			"`a` VARCHAR(3) DEFAULT 'a''b\\\\' COMMENT 'c\\\\',`e` ENUM('d\\\\'),CONSTRAINT FOREIGN KEY (`a`) REFERENCES `b`.`p`(`a`))",
		"create table t (a bigint /*T![auto_rand] AUTO_RANDOM(5) */ default nextval(`s`), key(a), foreign key (a) references c.t (a), foreign key (a) references t(a))": "CREATE TABLE `b`.`u` (" +
			"`a` BIGINT AUTO_RANDOM(5) DEFAULT (NEXTVAL(`b`.`s`)),INDEX(`a`),CONSTRAINT FOREIGN KEY (`a`) REFERENCES `c`.`t`(`a`),CONSTRAINT FOREIGN KEY (`a`) REFERENCES `b`.`u`(`a`))",
		"create table t (a datetime) /*T![ttl] TTL=`a` + INTERVAL 1 DAY */ /*T![ttl] TTL_ENABLE='ON' */": "CREATE TABLE `b`.`u` (`a` DATETIME) TTL = `a` + INTERVAL 1 DAY TTL_ENABLE = 'OFF'",
	} {
		got, err := schema.ReadTable(file(text), schema.Object{DB: "a", Name: "t"}, targets)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got.SQL != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got.SQL, want)
		}
		if got.TTL != strings.Contains(text, "TTL") {
			t.Errorf("%s: TTL %v", text, got.TTL)
		}
	}
}

func TestReadTableRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"": "0 statements CREATE TABLE",
		"create table t (a int); create table u (a int)":   "2 statements",
		"create table t like u":                            "LIKE",
		"create table t select 1":                          "SELECT",
		"create table t (a int); insert into t values (1)": "insert into t values (1)",
		"create table t (a int":                            "line 1",
		"create view v as select 1":                        "create view",
	} {
		_, err := schema.ReadTable(file(text), schema.Object{DB: "a", Name: "t"}, targets)
		f := fault.As(err)
		if f == nil || f.Code != 1064 || f.Whose != fault.Source || !strings.Contains(f.Error(), want) || !strings.Contains(f.Error(), "/d/file.sql") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReadView(t *testing.T) {
	for text, want := range map[string]string{
		"DROP TABLE IF EXISTS `v`;\nDROP VIEW IF EXISTS `v`;\nSET @PREV=@@CHARACTER_SET_CLIENT;\nCREATE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `v` (`x`) AS " +
			"SELECT `a`.`t`.`x` AS `x` FROM `a`.`t`;": "CREATE ALGORITHM = UNDEFINED DEFINER = `root`@`%` SQL SECURITY DEFINER VIEW `b`.`v` (`x`) AS SELECT `t`.`x` AS `x` FROM `b`.`u` AS `t`",
		"create view v as select a.w.x, y.* from a.w, c.t as y where exists (select 1 from t where t.x = y.x)": "CREATE ALGORITHM = UNDEFINED DEFINER = CURRENT_USER SQL SECURITY DEFINER VIEW `b`.`v` AS " +
			"SELECT `b`.`w`.`x`,`y`.* FROM (`b`.`w`) JOIN `c`.`t` AS `y` WHERE EXISTS (SELECT 1 FROM `b`.`u` AS `t` WHERE `t`.`x` = `y`.`x`)",
		"create view v as with t as (select 1 as n) select n from t": "CREATE ALGORITHM = UNDEFINED DEFINER = CURRENT_USER SQL SECURITY DEFINER VIEW `b`.`v` AS " +
			"WITH `t` AS (SELECT 1 AS `n`) SELECT `n` FROM `t`",
	} {
		got, err := schema.ReadView(file(text), schema.Object{DB: "a", Name: "v"}, targets, schema.Account{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got.SQL != want || got.Collation != "" {
			t.Errorf("%s:\ngot  %s %s\nwant %s", text, got.SQL, got.Collation, want)
		}
	}
}

// TestReadViewDefiner: a view belongs to whom the file says, or else to the account that is given, never to whoever makes it.
func TestReadViewDefiner(t *testing.T) {
	who := schema.ParseAccount("ann@work@10.0.0.%")
	for text, want := range map[string]struct {
		definer string
		runsAs  schema.Account
	}{
		"CREATE VIEW v AS SELECT 1":                                                     {"`ann@work`@`10.0.0.%`", who},
		"CREATE SQL SECURITY INVOKER VIEW v AS SELECT 1":                                {"`ann@work`@`10.0.0.%`", schema.Account{}},
		"CREATE DEFINER = CURRENT_USER() VIEW v AS SELECT 1":                            {"`ann@work`@`10.0.0.%`", who},
		"CREATE DEFINER = `o``k`@`%` VIEW v AS SELECT 1":                                {"`o``k`@`%`", schema.Account{"o`k", "%"}},
		"CREATE DEFINER = bob VIEW v AS SELECT 1":                                       {"`bob`@`%`", schema.Account{"bob", "%"}},
		"/*!50013 DEFINER=x@h SQL SECURITY INVOKER */":                                  {},
		"CREATE DEFINER='x'@'h' SQL SECURITY INVOKER VIEW v AS SELECT USER()":           {"`x`@`h`", schema.Account{}},
		"/*!50001 CREATE */ /*!50013 DEFINER=`r`@`l` */ /*!50001 VIEW v AS SELECT 1 */": {"`r`@`l`", schema.Account{"r", "l"}},
	} {
		got, err := schema.ReadView(file(text), schema.Object{DB: "a", Name: "v"}, targets, who)
		if want.definer == "" {
			if err == nil {
				t.Errorf("%s: %+v", text, got)
			}
			continue
		}
		if err != nil || !strings.Contains(got.SQL, " DEFINER = "+want.definer+" SQL SECURITY") || got.RunsAs != want.runsAs {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestReadViewCollation(t *testing.T) {
	for text, want := range map[string]string{
		"SET collation_connection = utf8mb4_general_ci; CREATE VIEW v AS SELECT 1":                                                       "utf8mb4_general_ci",
		"SET @@session.Collation_Connection = 'UTF8MB4_bin', sql_mode = ''; CREATE VIEW v AS SELECT 1; SET collation_connection = @PREV": "utf8mb4_bin",
		"SET collation_connection = 'x\\' y'; CREATE VIEW v AS SELECT 1":                                                                 "",
		"CREATE VIEW v AS SELECT 1": "latin1_bin",
	} {
		f := file(text)
		f.Collation = "latin1_bin"
		if got, err := schema.ReadView(f, schema.Object{DB: "a", Name: "v"}, targets, schema.Account{}); err != nil || got.Collation != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestReadSequence(t *testing.T) {
	got, err := schema.ReadSequence(file("CREATE SEQUENCE `s` start with 1 minvalue 1 cache 1000 nocycle ENGINE=InnoDB;\nSELECT SETVAL(`s`,1001);\n"),
		schema.Object{DB: "a", Name: "t"}, targets)
	want := "CREATE SEQUENCE `b`.`u` START WITH 1 MINVALUE 1 CACHE 1000 NOCYCLE ENGINE = InnoDB; SELECT SETVAL(`b`.`u`, 1001)"
	if err != nil || strings.Join(got, "; ") != want {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSequencesOfMariaDB: the third argument of its SETVAL, which TiDB's doesn't have, says whether the value is taken.
func TestSequencesOfMariaDB(t *testing.T) {
	const create = "CREATE SEQUENCE `b`.`u` START WITH 5 INCREMENT BY 5"
	for text, want := range map[string]string{
		"DO SETVAL(`s`, 1005, 0)":       create + "; SELECT SETVAL(`b`.`u`, 1000)",
		"SELECT SETVAL(`s`, 1005, 1)":   create + "; SELECT SETVAL(`b`.`u`, 1005)",
		"DO setval(s,5,0);\n\n":         create,
		"DO SETVAL(`s`, 1005, 0); DO 1": "can't be restored: it holds, beside CREATE SEQUENCE, a statement that is not restored: DO 1",
		"DO SETVAL(`s`, x, 0)":          "what /d/file.sql has in line 7 can't be restored: line 10 column",
	} {
		f := file("CREATE SEQUENCE `s`\nstart with 5\nincrement by 5;\n" + text)
		f.Line = 7
		got, err := schema.ReadSequence(f, schema.Object{DB: "a", Name: "t"}, targets)
		if err != nil && !strings.Contains(err.Error(), want) || err == nil && strings.Join(got, "; ") != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func TestDatabase(t *testing.T) {
	got, err := schema.Database(file("CREATE DATABASE `a` /*!40100 DEFAULT CHARACTER SET utf8mb4 */ /*T![placement] PLACEMENT POLICY=`p` */;"), "b`c")
	if want := "CREATE DATABASE IF NOT EXISTS `b``c` CHARACTER SET = utf8mb4 PLACEMENT POLICY = `p`"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := schema.Database(file("drop database a"), "b"); err == nil {
		t.Error("DROP DATABASE is taken")
	}
}

func TestModes(t *testing.T) {
	f := file(`create table "t" ("a" char(1) default '\')`)
	f.Mode = mysql.ModeANSIQuotes | mysql.ModeNoBackslashEscapes
	got, err := schema.ReadTable(f, schema.Object{DB: "a", Name: "t"}, targets)
	if want := "CREATE TABLE `b`.`u` (`a` CHAR(1) DEFAULT '\\\\')"; err != nil || got.SQL != want {
		t.Errorf("%v, %v", got, err)
	}
}

// TestManyAtATime: no file's statements are another's.
func TestManyAtATime(t *testing.T) {
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			column := fmt.Sprintf("c%d", g)
			for range 200 {
				got, err := schema.ReadTable(file("SET NAMES binary; CREATE TABLE t ("+column+" INT)"), schema.Object{DB: "x", Name: "t"}, targets)
				if want := "CREATE TABLE `x`.`t` (`" + column + "` INT)"; err != nil || got.SQL != want {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	all.Wait()
}

// FuzzReadTable makes sure that what is written anew is read as the same again.
func FuzzReadTable(f *testing.F) {
	f.Add("CREATE TABLE `t` (`a` int DEFAULT '1' COMMENT 'x\\'y', KEY k ((lower(`b`)))) /*!50100 PARTITION BY HASH (a) PARTITIONS 3 */")
	f.Add("create table t (a enum('a','b''c') collate utf8mb4_bin, check (a > 'a'))")
	f.Fuzz(func(t *testing.T, text string) {
		names := func(o schema.Object) schema.Object { return o }
		first, err := schema.ReadTable(file(text), schema.Object{DB: "a", Name: "t"}, names)
		if err != nil {
			return
		}
		again, err := schema.ReadTable(file(first.SQL), schema.Object{DB: "a", Name: "t"}, names)
		if err != nil || again.SQL != first.SQL {
			t.Fatalf("%q\n%q\n%+v, %v", text, first.SQL, again, err)
		}
	})
}

func TestIndexes(t *testing.T) {
	for text, want := range map[string]int{
		"CREATE TABLE t (a INT PRIMARY KEY, b INT)": 0,
		"CREATE TABLE t (a INT, b INT UNIQUE, c INT, PRIMARY KEY (a), KEY (b), UNIQUE KEY x (c), INDEX (c), UNIQUE (c, b), CHECK (a > 0), FOREIGN KEY (a) REFERENCES u (a))": 5,
	} {
		table, err := schema.ReadTable(file(text), schema.Object{DB: "a", Name: "t"}, targets)
		if err != nil || table.Indexes != want {
			t.Errorf("%s: %+v, %v", text, table, err)
		}
	}
}
