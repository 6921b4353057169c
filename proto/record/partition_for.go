package record

import "encoding/binary"

// PartitionFor is the partition of key among n partitions, the same one that Kafka's default partitioner
// takes: the murmur2 hash without its sign, modulo n. n must be positive; a nil key is hashed like an empty
// one, so callers spread records without a key themselves.
func PartitionFor(key []byte, n int) Partition {
	if n <= 0 { // must alone would make its arguments for every record
		must(false, "partition for a key among %d partitions", n)
	}
	return Partition(int(murmur2(key)&0x7fffffff) % n)
}

// murmur2 is the 32-bit MurmurHash2 with the seed that Kafka's producers use.
func murmur2(b []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
	)
	h := uint32(seed) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		k = (k ^ k>>24) * m
		h = h*m ^ k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(b[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
