package cluster

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/engine/dirlock"
)

// identity is what a data directory says of itself: whose it is.
type identity struct {
	cluster  string
	member   record.MemberID
	metadata record.ReplicaID
}

// The member file has two copies of the same, one behind the other, so that no single damage hides a member:
// "MSMF", a CRC-32C of what follows, then a diskv1.MemberFile.
const (
	memberFileName    = "member"
	lockFileName      = "lock"
	memberFileMagic   = "MSMF"
	memberFileHeader  = 8
	dataFormatVersion = 2
	firstMember       = 1
	firstReplica      = 1
)

// lockDir takes a data directory. A directory that another process, or another member of this one, holds is
// refused.
func lockDir(dir string) (*dirlock.Lock, error) {
	l, err := dirlock.Take(filepath.Join(dir, lockFileName))
	if errors.Is(err, dirlock.ErrTaken) {
		return nil, fault.New(fault.PolicyViolation, "data directory %s is in use by another member", dir).
			WithHint("stop it first, or give this one a directory of its own")
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	return l, nil
}

// loadIdentity reads the member file of dir, or makes a new identity in an empty directory.
func loadIdentity(dir string) (identity, error) {
	path := filepath.Join(dir, memberFileName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newIdentity(dir, path)
	}
	if err != nil {
		return identity{}, fmt.Errorf("read member file: %w", err)
	}
	content, ok := memberContent(b)
	if !ok {
		return identity{}, fmt.Errorf("member file %s is damaged: no copy in it has its checksum; "+
			"restore it from a copy, the log beside it is untouched", path)
	}
	var m diskv1.MemberFile
	if err := proto.Unmarshal(content, &m); err != nil {
		return identity{}, fmt.Errorf("decode member file %s: %w", path, err)
	}
	if m.GetVersion() != dataFormatVersion {
		return identity{}, fmt.Errorf("data directory %s has format version %d, this build reads %d: "+
			"use the build that wrote it", dir, m.GetVersion(), dataFormatVersion)
	}
	return identity{
		cluster:  m.GetClusterId(),
		member:   record.MemberID(m.GetMemberId()),
		metadata: record.ReplicaID(m.GetMetadataReplicaId()),
	}, nil
}

// newIdentity writes the member file of a new one-member cluster. A directory that holds a log but no member
// file is not new: something removed it.
func newIdentity(dir, path string) (identity, error) {
	if _, err := os.Stat(filepath.Join(dir, logDirName)); err == nil {
		return identity{}, fmt.Errorf("data directory %s holds a log but no member file: "+
			"restore the file named %q, or use an empty directory", dir, memberFileName)
	}
	id := identity{cluster: newClusterID(), member: firstMember, metadata: firstReplica}
	b, err := proto.Marshal(&diskv1.MemberFile{
		Version: dataFormatVersion, ClusterId: id.cluster,
		MemberId: uint64(id.member), MetadataReplicaId: uint64(id.metadata),
	})
	if err != nil {
		return identity{}, fmt.Errorf("encode member file: %w", err)
	}
	head := binary.BigEndian.AppendUint32([]byte(memberFileMagic), memberCRC(b))
	b = append(head, b...)
	if err := replaceFile(path, append(b, b...)); err != nil {
		return identity{}, fmt.Errorf("write member file: %w", err)
	}
	return id, nil
}

// memberContent returns the diskv1.MemberFile of the first copy that verifies. A whole file that does is one of
// format version 1.
func memberContent(b []byte) (content []byte, ok bool) {
	half := len(b) / 2
	for _, c := range [][]byte{b[:half], b[half:], b} {
		if len(c) >= memberFileHeader && string(c[:4]) == memberFileMagic &&
			binary.BigEndian.Uint32(c[4:]) == memberCRC(c[memberFileHeader:]) {
			return c[memberFileHeader:], true
		}
	}
	return nil, false
}

// newClusterID returns 16 random bytes in the URL-safe form that Kafka's tools print.
func newClusterID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func memberCRC(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// replaceFile writes a file so that a crash leaves the old or the new content, never a part of it.
func replaceFile(path string, content []byte) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
