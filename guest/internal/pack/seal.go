package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
)

// A pack ends with a frame that zstd skips (RFC 8878, section 3.1.2): magic number, length, our mark, and the SHA-256
// of everything before it.
const sealMark = "\x50\x2a\x4d\x18\x28\x00\x00\x00SKPACK01"

const sealSize = int64(len(sealMark) + sha256.Size)

var errDamaged = errors.New("the pack is damaged")

// checkSeal reads a whole pack, compares it with its checksum, and returns that.
func checkSeal(pack *os.File) ([]byte, error) {
	status, err := pack.Stat()
	if err != nil {
		return nil, err
	}
	body := status.Size() - sealSize
	if !status.Mode().IsRegular() || body < 0 {
		return nil, errDamaged
	}
	seal := make([]byte, sealSize)
	if _, err := pack.ReadAt(seal, body); err != nil {
		return nil, err
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, readerOnly{io.NewSectionReader(pack, 0, body)}, make([]byte, 1<<20)); err != nil {
		return nil, err
	}
	if !bytes.Equal(seal, sum.Sum([]byte(sealMark))) {
		return nil, errDamaged
	}
	return seal[len(sealMark):], nil
}

func digest(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }
