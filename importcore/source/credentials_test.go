package source

import (
	"testing"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/stretchr/testify/require"
)

// TestWithoutCredentials: of every kind of storage the secrets are left out, and nothing else; the original keeps them.
func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	const secret = "5ecret"
	for _, b := range []*backuppb.StorageBackend{
		{Backend: &backuppb.StorageBackend_S3{S3: &backuppb.S3{Bucket: "place", AccessKey: secret, SecretAccessKey: secret, SessionToken: secret}}},
		{Backend: &backuppb.StorageBackend_Gcs{Gcs: &backuppb.GCS{Bucket: "place", CredentialsBlob: secret}}},
		{Backend: &backuppb.StorageBackend_AzureBlobStorage{AzureBlobStorage: &backuppb.AzureBlobStorage{Bucket: "place", SharedKey: secret, AccessSig: secret}}},
		{Backend: &backuppb.StorageBackend_Local{Local: &backuppb.Local{Path: "place"}}},
	} {
		before := b.String()
		bare := WithoutCredentials(b).String()
		require.NotContains(t, bare, secret)
		require.Contains(t, bare, "place")
		require.Equal(t, before, b.String())
	}
}
