package tikv

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/encryptionpb"
)

// cipherIVLen is the length of the initial vector that each file has.
const cipherIVLen = aes.BlockSize

// cryptFile encrypts a file in place, or decrypts it, which is the same.
func cryptFile(info *backuppb.CipherInfo, iv, data []byte) error {
	var keyLen int
	switch info.GetCipherType() {
	case encryptionpb.EncryptionMethod_UNKNOWN, encryptionpb.EncryptionMethod_PLAINTEXT:
		return nil
	case encryptionpb.EncryptionMethod_AES128_CTR:
		keyLen = 16
	case encryptionpb.EncryptionMethod_AES192_CTR:
		keyLen = 24
	case encryptionpb.EncryptionMethod_AES256_CTR:
		keyLen = 32
	default:
		return fmt.Errorf("encryption by %v is not served by this store", info.CipherType)
	}
	if len(info.CipherKey) != keyLen || len(iv) != cipherIVLen {
		return fmt.Errorf("%v with a key of %d and an initial vector of %d bytes", info.CipherType, len(info.CipherKey), len(iv))
	}
	block, err := aes.NewCipher(info.CipherKey)
	if err != nil {
		return err
	}
	cipher.NewCTR(block, iv).XORKeyStream(data, data)
	return nil
}
