package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
)

// ErrSourceChanged says that the files are not those that a job was accepted with.
var ErrSourceChanged = errors.New("the files of the source have changed")

// readablePatience is how long a store that fails is tried when a job could be taken over: that is tried again later.
const readablePatience = 2 * time.Second

// Readable tells whether this process can read the location, and whether its files are those of
// Facts.Source: nil, ErrSourceChanged, or what is in the way. With want "" they are not compared. cipher is Options.Cipher: with another
// one than the archive's it can't be read.
func (r *Restorer) Readable(ctx context.Context, location, want string, cipher *archive.Cipher) (err error) {
	cfg := r.inspect
	cfg.Patience, cfg.Stall = readablePatience, readablePatience
	folder, err := source.OpenFolder(ctx, location, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	files, err := folder.List(ctx)
	if err != nil {
		return err
	}
	if want != "" && fingerprint(files) != want {
		return fault.Wrap(ErrSourceChanged, fault.User, codePrecheckFailed, "%v", ErrSourceChanged)
	}
	if archive.Is(files) {
		return archive.CheckCipher(ctx, folder, files, cipher)
	}
	if len(files) == 0 {
		return nil
	}
	stream, err := folder.Open(ctx, files[0], 0)
	if err != nil {
		return err
	}
	return stream.Close()
}

// fingerprint is Facts.Source.
func fingerprint(files []source.File) string {
	sum := sha256.New()
	for i := range files {
		fmt.Fprintf(sum, "%q\n", files[i].Identity()) //nolint:errcheck // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// locationOf is a location without its parameters, which may be credentials.
func locationOf(location string) string {
	plain, _, _ := strings.Cut(location, "?")
	return plain
}
