package schema_test

import (
	"testing"

	"github.com/sluicedb/sluice/importcore/dump/schema"
)

func TestCalled(t *testing.T) {
	for text, want := range map[string]string{
		"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a&b` /*!40100 DEFAULT CHARACTER SET utf8mb4 */":                    "a&b",
		"/*!40101 SET NAMES binary*/;\nCREATE DATABASE x; CREATE TABLE `x`.`a.b c` (a INT)":                           "a.b c",
		"CREATE TABLE IF NOT EXISTS `v w` (a INT);\nDROP TABLE IF EXISTS `v w`; CREATE VIEW `v w` AS SELECT 1 AS `x`": "v w",
		"CREATE SEQUENCE `s%` START WITH 1": "s%",
		"SET NAMES binary":                  "",
		"CREATE TABLE":                      "",
	} {
		got, err := schema.Called(file(text))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}
