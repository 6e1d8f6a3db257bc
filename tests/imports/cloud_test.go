package imports_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/azurestore"
	"github.com/sluicedb/sluice/tests/gcsstore"
)

// TestCloudImport: from Google Cloud Storage and Azure Blob Storage as from S3, and no secret is seen.
func TestCloudImport(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	gcs, azure := gcsstore.Start(t), azurestore.Start(t)
	for i := range 5 {
		gcs.Put(fmt.Sprintf("in/f%02d.csv", i), s3Rows(i*100, 100))
		azure.Put(fmt.Sprintf("in/f%02d.csv", i), s3Rows(i*100, 100))
	}
	b.exec("CREATE TABLE t " + cleanupTable)
	for _, location := range []string{gcs.WithKeys("in/f*.csv"), azure.WithKey("in/f*.csv"), azure.WithToken("in/f*.csv")} {
		row := b.mustImport("IMPORT INTO t FROM '" + location + "' WITH thread=2")
		require.Equal(t, "500", row["Imported_Rows"])
		require.Contains(t, row["Data_Source"], "=xxxxxx")
		b.consistent("t")
		require.Equal(t, [][]string{{"500", "125250"}}, b.query("SELECT COUNT(*), SUM(id) FROM t"))
		b.exec("TRUNCATE TABLE t")
	}
	b.fails("IMPORT INTO t FROM '"+gcs.Location("in/*.csv")+"'", 8159, "HTTP 401")
	b.fails("IMPORT INTO t FROM '"+azure.WithKey("in/none.csv")+"'", 8160, "azure://data/in/none.csv: there is no such file")
	b.noSecret(gcsstore.Token, gcs.KeyText, gcs.CredentialsFile, azure.Key, url.QueryEscape(azure.Key), azure.Signature)
}
