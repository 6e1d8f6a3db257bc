package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/br/pkg/storage"
)

// azureKeys are the parameters of a location in Azure Blob Storage, as TiDB documents them: true for those that matter to
// who writes objects only.
var azureKeys = map[string]bool{
	"endpoint": false, "account-name": false, "account-key": false, "sas-token": false, "encryption-key": false,
	"access-tier": true, "encryption-scope": true,
}

// azureBucket is a container of Azure Blob Storage.
//
// Credentials are the location's account key or token (SAS), or those of the environment, in the order of TiDB: AZURE_CLIENT_ID with
// AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or AZURE_STORAGE_KEY. The first of these are not used at an endpoint that a location names: each
// request would bring it a token that is good elsewhere.
type azureBucket struct {
	given backuppb.AzureBlobStorage // by the location
	http  *http.Client

	mu struct {
		sync.Mutex
		client *container.Client         // nil until connect has succeeded
		found  backuppb.AzureBlobStorage // given with the credentials that connect has found
	}
}

// parseAzure reads the parameters of a location in Azure Blob Storage.
func parseAzure(u *url.URL) (*azureBucket, error) {
	given, err := parametersOf(u, azureKeys)
	if err != nil {
		return nil, err
	}
	if err := checkPlainEndpoint(given["endpoint"]); err != nil {
		return nil, err
	}
	if given["account-name"] == "" && (given["account-key"] != "" || given["sas-token"] != "") {
		return nil, invalidURI("account-name belongs to account-key and sas-token")
	}
	backend, err := storage.ParseBackendFromURL(u, nil)
	if err != nil || backend.GetAzureBlobStorage() == nil {
		return nil, invalidURI("the URL's parameters can't be used")
	}
	return &azureBucket{given: *backend.GetAzureBlobStorage(), http: &http.Client{Transport: newTransport()}}, nil
}

// connect finds credentials, once.
func (b *azureBucket) connect(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.client != nil {
		return nil
	}
	found := b.given
	if found.AccountName == "" {
		found.AccountName = os.Getenv("AZURE_STORAGE_ACCOUNT")
	}
	if found.AccountName == "" {
		return cantAccess("there is no account: neither the location has an account-name nor is AZURE_STORAGE_ACCOUNT set")
	}
	client, err := b.open(&found)
	if err != nil {
		return err
	}
	b.mu.client, b.mu.found = client, found
	return nil
}

// open returns a client. The key that it takes from the environment goes to found.
func (b *azureBucket) open(found *backuppb.AzureBlobStorage) (*container.Client, error) {
	at := strings.TrimSuffix(found.Endpoint, "/")
	if at == "" {
		at = "https://" + found.AccountName + ".blob.core.windows.net"
	}
	at += "/" + found.Bucket
	opts := &container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: b.http, Retry: policy.RetryOptions{MaxRetries: -1}}} // see retry.go
	if found.AccessSig != "" {
		return container.NewClientWithNoCredential(at+"?"+strings.TrimPrefix(found.AccessSig, "?"), opts)
	}
	client, tenant, secret := os.Getenv("AZURE_CLIENT_ID"), os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_CLIENT_SECRET")
	if found.SharedKey == "" && found.Endpoint == "" && client != "" && tenant != "" && secret != "" {
		cred, err := azidentity.NewClientSecretCredential(tenant, client, secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: opts.ClientOptions})
		if err != nil {
			return nil, cantAccess("AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET are no credentials")
		}
		return container.NewClient(at, cred, opts)
	}
	if found.SharedKey == "" {
		found.SharedKey = os.Getenv("AZURE_STORAGE_KEY")
	}
	if found.SharedKey == "" {
		return nil, cantAccess("there are no credentials: neither the location nor Sluice's environment has any")
	}
	cred, err := container.NewSharedKeyCredential(found.AccountName, found.SharedKey)
	if err != nil { // its text may quote the key
		return nil, cantAccess("the account's key is no text in Base64")
	}
	return container.NewClientWithSharedKeyCredential(at, cred, opts)
}

func (b *azureBucket) client() *container.Client {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.client
}

// backend implements bucket.
func (b *azureBucket) backend(prefix string) *backuppb.StorageBackend {
	b.mu.Lock()
	defer b.mu.Unlock()
	azure := b.mu.found
	if b.mu.client == nil {
		azure = b.given
	}
	azure.Prefix = prefix
	return &backuppb.StorageBackend{Backend: &backuppb.StorageBackend_AzureBlobStorage{AzureBlobStorage: &azure}}
}

func (b *azureBucket) close() { b.http.CloseIdleConnections() }

// list implements bucket.
func (b *azureBucket) list(ctx context.Context, prefix, delimiter, from string) (files []File, next string, err error) {
	var marker, after *string
	if from != "" {
		marker = &from
	}
	var items []*container.BlobItem
	if delimiter == "" {
		page, err := b.client().NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix, Marker: marker}).NextPage(ctx)
		if err != nil {
			return nil, "", err
		}
		items, after = page.Segment.BlobItems, page.NextMarker
	} else {
		page, err := b.client().NewListBlobsHierarchyPager(delimiter, &container.ListBlobsHierarchyOptions{Prefix: &prefix, Marker: marker}).NextPage(ctx)
		if err != nil {
			return nil, "", err
		}
		items, after = page.Segment.BlobItems, page.NextMarker
	}
	for _, item := range items {
		if item.Name == nil || item.Properties == nil || item.Properties.ContentLength == nil {
			return nil, "", errors.New("the store's list lacks a file's name or size")
		}
		files = append(files, azureFile(*item.Name, *item.Properties.ContentLength, item.Properties.LastModified, item.Properties.ETag))
	}
	if after != nil {
		next = *after
	}
	return files, next, nil
}

func azureFile(key string, size int64, changed *time.Time, tag *azcore.ETag) File {
	f := File{Key: key, Size: size}
	if changed != nil {
		f.ModTime = *changed
	}
	if tag != nil {
		f.ETag = strings.Trim(string(*tag), `"`)
	}
	return f
}

// keyInfo is the key of objects that the customer has encrypted, nil if there is none.
func (b *azureBucket) keyInfo() *blob.CPKInfo {
	key := b.given.EncryptionKey
	if key == nil {
		return nil
	}
	method := blob.EncryptionAlgorithmTypeAES256
	return &blob.CPKInfo{EncryptionAlgorithm: &method, EncryptionKey: &key.EncryptionKey, EncryptionKeySHA256: &key.EncryptionKeySha256}
}

// stat implements bucket.
func (b *azureBucket) stat(ctx context.Context, key string) (File, error) {
	out, err := b.client().NewBlobClient(key).GetProperties(ctx, &blob.GetPropertiesOptions{CPKInfo: b.keyInfo()})
	if err != nil {
		return File{}, err
	}
	if out.ContentLength == nil {
		return File{}, errors.New("the store doesn't say how long the file is")
	}
	return azureFile(key, *out.ContentLength, out.LastModified, out.ETag), nil
}

// get implements bucket.
func (b *azureBucket) get(ctx context.Context, file *File, from, to int64) (io.ReadCloser, error) {
	opts := &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: from, Count: to - from}, CPKInfo: b.keyInfo()}
	if file.ETag != "" {
		tag := azcore.ETag(`"` + file.ETag + `"`)
		opts.AccessConditions = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &tag}}
	}
	out, err := b.client().NewBlobClient(file.Key).DownloadStream(ctx, opts)
	if err != nil {
		return nil, err
	}
	var got answer
	if out.ContentLength != nil {
		got.length = *out.ContentLength
	}
	if out.ContentRange != nil {
		got.contentRange = *out.ContentRange
	}
	got.version = azureFile("", 0, out.LastModified, out.ETag)
	if err := got.check(file, from, to); err != nil {
		return nil, errors.Join(err, out.Body.Close())
	}
	return out.Body, nil
}

// verdict implements bucket.
func (b *azureBucket) verdict(err error) verdict {
	var answered *azcore.ResponseError
	var unknown *azidentity.AuthenticationFailedError
	switch {
	case bloberror.HasCode(err, bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled):
		return noBucket
	case errors.As(err, &unknown):
		if unknown.RawResponse != nil && statusVerdict(unknown.RawResponse.StatusCode, "") == passing {
			return passing
		}
		return denied
	case errors.As(err, &answered):
		return statusVerdict(answered.StatusCode, "")
	case wrongCertificate(err):
		return refused
	}
	return passing
}

// reason implements bucket: the answer's code, or the innermost cause where there was no answer. The client's own texts quote requests.
func (b *azureBucket) reason(err error) string {
	var answered *azcore.ResponseError
	var unknown *azidentity.AuthenticationFailedError
	switch {
	case errors.As(err, &unknown):
		return "no token is given for the credentials in the environment"
	case errors.As(err, &answered):
		text := answered.ErrorCode
		if text == "" {
			text = http.StatusText(answered.StatusCode)
		}
		return fmt.Sprintf("%s (HTTP %d)", text, answered.StatusCode)
	}
	told := innermost(err)
	for _, secret := range []string{b.given.SharedKey, b.given.AccessSig} {
		if secret != "" {
			told = strings.ReplaceAll(told, secret, "xxxxxx")
		}
	}
	return told
}
