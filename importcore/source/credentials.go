package source

import (
	"github.com/gogo/protobuf/proto"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
)

// WithoutCredentials returns a copy of what Folder.Backend returns without secrets: whoever uses it needs credentials of its own.
func WithoutCredentials(b *backuppb.StorageBackend) *backuppb.StorageBackend {
	b = proto.Clone(b).(*backuppb.StorageBackend)
	switch of := b.Backend.(type) {
	case *backuppb.StorageBackend_S3:
		of.S3.AccessKey, of.S3.SecretAccessKey, of.S3.SessionToken = "", "", ""
	case *backuppb.StorageBackend_Gcs:
		of.Gcs.CredentialsBlob = ""
	case *backuppb.StorageBackend_AzureBlobStorage:
		of.AzureBlobStorage.SharedKey, of.AzureBlobStorage.AccessSig = "", ""
	}
	return b
}
