package pack

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
)

// A pack ends with a frame that zstd skips (RFC 8878, section 3.1.2): magic number, length, our mark, and the SHA-256
// of everything before it.
const sealMark = "\x50\x2a\x4d\x18\x28\x00\x00\x00SKPACK01"

const sealSize = int64(len(sealMark) + sha256.Size)

var errDamaged = errors.New("the pack is damaged")

// checkSeal reads a whole pack and compares it with its checksum.
func checkSeal(pack *os.File) error {
	status, err := pack.Stat()
	if err != nil {
		return err
	}
	body := status.Size() - sealSize
	if !status.Mode().IsRegular() || body < 0 {
		return errDamaged
	}
	seal := make([]byte, sealSize)
	if _, err := pack.ReadAt(seal, body); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, readerOnly{io.NewSectionReader(pack, 0, body)}, make([]byte, 1<<20)); err != nil {
		return err
	}
	if !bytes.Equal(seal, sum.Sum([]byte(sealMark))) {
		return errDamaged
	}
	return nil
}
