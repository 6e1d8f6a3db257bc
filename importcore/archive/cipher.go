package archive

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/encryptionpb"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Cipher is how an archive is encrypted. The zero value is not at all. It is never logged: it has no form for that.
type Cipher struct {
	method encryptionpb.EncryptionMethod
	key    []byte
}

// methods are BR's names, with the lengths of their keys in bytes.
var methods = map[string]struct {
	method encryptionpb.EncryptionMethod
	length int
}{
	"":           {encryptionpb.EncryptionMethod_PLAINTEXT, 0},
	"plaintext":  {encryptionpb.EncryptionMethod_PLAINTEXT, 0},
	"aes128-ctr": {encryptionpb.EncryptionMethod_AES128_CTR, 16},
	"aes192-ctr": {encryptionpb.EncryptionMethod_AES192_CTR, 24},
	"aes256-ctr": {encryptionpb.EncryptionMethod_AES256_CTR, 32},
}

// ParseCipher reads BR's options crypter.method, crypter.key (in hexadecimal) and
// crypter.key-file (a path on this machine whose file holds the key in hexadecimal). Its errors never show the key.
func ParseCipher(method, key, keyFile string) (*Cipher, error) {
	m, ok := methods[strings.ToLower(method)]
	switch {
	case !ok:
		return nil, fault.New(fault.User, 0, "the encryption method %q is unknown: it is plaintext, aes128-ctr, aes192-ctr or aes256-ctr", method)
	case m.length == 0 && (key != "" || keyFile != ""):
		return nil, fault.New(fault.User, 0, "a key of the archive is given without an encryption method")
	case m.length == 0:
		return &Cipher{}, nil
	case key != "" && keyFile != "":
		return nil, fault.New(fault.User, 0, "both a key of the archive and a file with the key are given")
	case keyFile != "":
		text, err := readKey(keyFile)
		if err != nil {
			return nil, fault.New(fault.User, 0, "the file with the archive's key can't be read: %s", err)
		}
		key = string(bytes.TrimSpace(text))
	}
	raw, err := hex.DecodeString(key)
	if err != nil || len(raw) != m.length {
		return nil, fault.New(fault.User, 0, "the key of the archive must be %d hexadecimal digits for %s", 2*m.length, strings.ToLower(method))
	}
	return &Cipher{method: m.method, key: raw}, nil
}

// mostKey is more bytes than any file with a key has.
const mostKey = 4 << 10

// readKey returns the beginning of a file. Devices and pipes, which may never end, are not read.
func readKey(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, mostKey))
}

// Info is the cipher as TiKV's requests have it.
func (c *Cipher) Info() *backuppb.CipherInfo {
	if !c.On() {
		return &backuppb.CipherInfo{CipherType: encryptionpb.EncryptionMethod_PLAINTEXT}
	}
	return &backuppb.CipherInfo{CipherType: c.method, CipherKey: c.key}
}

// String keeps the key out of whatever prints a Cipher.
func (c *Cipher) String() string {
	if !c.On() {
		return "plaintext"
	}
	return c.method.String()
}

// GoString is String.
func (c *Cipher) GoString() string { return c.String() }

// On tells whether there is any encryption. A nil Cipher is none.
func (c *Cipher) On() bool { return c != nil && len(c.key) > 0 }

// stream returns the key stream of a file from an offset on.
func (c *Cipher) stream(iv []byte, offset int64) (cipher.Stream, error) {
	block, err := aes.NewCipher(c.key)
	if err != nil {
		return nil, err
	}
	if len(iv) != block.BlockSize() {
		return nil, fmt.Errorf("its initial vector has %d bytes instead of %d", len(iv), block.BlockSize())
	}
	// The counter is a number of 128 bits that grows by one with each block.
	counter := bytes.Clone(iv)
	for i, carry := len(counter)-1, uint64(offset/aes.BlockSize); i >= 0 && carry > 0; i-- {
		carry += uint64(counter[i])
		counter[i] = byte(carry)
		carry >>= 8
	}
	s := cipher.NewCTR(block, counter)
	skip := make([]byte, offset%aes.BlockSize)
	s.XORKeyStream(skip, skip)
	return s, nil
}

// open returns the plain text of a whole file, in memory of its own; without encryption it is data itself.
func (c *Cipher) open(data, iv []byte) ([]byte, error) {
	if !c.On() {
		return data, nil
	}
	s, err := c.stream(iv, 0)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(data))
	s.XORKeyStream(plain, data)
	return plain, nil
}
