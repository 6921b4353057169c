package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/millstream-io/millstream/proto/fault"
)

// manifestVersion is the format of a class directory: manifest, bucket names, keys and rows.
const manifestVersion = 4

var manifestMagic = [8]byte{'m', 's', 't', 'r', 'c', 'l', 's', '\n'}

// manifest names the buckets of a class, oldest first; the last one is active. A directory that it does not
// name is not part of the class. It is written twice, one copy behind the other, so that no single damage
// hides a class.
type manifest struct {
	buckets []bucketID
}

// bucketID names a bucket. Buckets of a higher sequence outrank lower ones; a generation above 0 is a
// rewrite.
type bucketID struct {
	sequence   uint64
	generation uint32
	createdMs  int64
}

// String returns the name of the bucket's directory.
func (b bucketID) String() string { return fmt.Sprintf("%08d.%d", b.sequence, b.generation) }

const (
	manifestHeader = 8 + 4 + 4 + 4 // magic, version, checksum, count
	manifestBucket = 8 + 4 + 8
	manifestMost   = 1 << 20 // buckets; bounds what a damaged count can ask for
)

func (m manifest) encode() []byte {
	b := make([]byte, 0, manifestHeader+len(m.buckets)*manifestBucket)
	b = append(b, manifestMagic[:]...)
	b = binary.BigEndian.AppendUint32(b, manifestVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.buckets)))
	for _, id := range m.buckets {
		b = binary.BigEndian.AppendUint64(b, id.sequence)
		b = binary.BigEndian.AppendUint32(b, id.generation)
		b = binary.BigEndian.AppendUint64(b, uint64(id.createdMs))
	}
	binary.BigEndian.PutUint32(b[12:], manifestCRC(b))
	return append(b, b...)
}

// decodeManifest verifies and reads a manifest: its first copy or, where that is damaged, its second. Error:
// fault.StorageError.
func decodeManifest(b []byte) (manifest, error) {
	half := len(b) / 2
	m, first := decodeManifestCopy(b[:half])
	if first == nil {
		return m, nil
	}
	if m, err := decodeManifestCopy(b[half:]); err == nil {
		return m, nil
	}
	return manifest{}, first
}

// decodeManifestCopy verifies and reads one copy. The version is checked first, for what stands behind it may
// mean anything in another version. Error: fault.StorageError.
func decodeManifestCopy(b []byte) (manifest, error) {
	if len(b) < manifestHeader || [8]byte(b) != manifestMagic {
		return manifest{}, fault.New(fault.StorageError, "the manifest does not begin like one").
			WithHint("restore the directory from a copy, or let the member rebuild from its peers")
	}
	if v := binary.BigEndian.Uint32(b[8:]); v != manifestVersion {
		return manifest{}, fault.New(fault.StorageError, "the data has format version %d, this build reads %d", v,
			manifestVersion).WithHint("start the build that wrote it, or begin with an empty directory; before release 0.1 nothing is migrated")
	}
	if want, got := binary.BigEndian.Uint32(b[12:]), manifestCRC(b); want != got {
		return manifest{}, fault.New(fault.StorageError, "the manifest has checksum %08x, it says %08x", got, want).
			WithHint("restore the directory from a copy, or let the member rebuild from its peers")
	}
	n := int(binary.BigEndian.Uint32(b[16:]))
	if n < 1 || n > manifestMost || len(b) != manifestHeader+n*manifestBucket {
		return manifest{}, fault.New(fault.StorageError, "the manifest names %d buckets in %d bytes", n, len(b))
	}
	m := manifest{buckets: make([]bucketID, n)}
	for i := range m.buckets {
		p := b[manifestHeader+i*manifestBucket:]
		m.buckets[i] = bucketID{
			sequence:   binary.BigEndian.Uint64(p),
			generation: binary.BigEndian.Uint32(p[8:]),
			createdMs:  int64(binary.BigEndian.Uint64(p[12:])),
		}
		if i > 0 && m.buckets[i].sequence <= m.buckets[i-1].sequence {
			return manifest{}, fault.New(fault.StorageError, "bucket %s stands behind %s in the manifest",
				m.buckets[i], m.buckets[i-1])
		}
	}
	return m, nil
}

// manifestCRC covers everything but the checksum itself.
func manifestCRC(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:12])
	return crc32.Update(c, castagnoli, b[16:])
}
