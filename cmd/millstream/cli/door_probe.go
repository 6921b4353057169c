package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
)

// probePatience bounds one question to an address. Doors answer at once, or hang up.
const probePatience = 4 * time.Second

// doorAt says which door answers at an address, by its noun: Kafka or HTTP, "" for nothing and for anything else. It
// blocks for two questions at most. HTTP is asked for first: its question ends a connection to a Kafka door at once, while
// an HTTP door would wait for the end of a line that never comes.
func doorAt(ctx context.Context, addr string) string {
	answer := probe(ctx, addr, []byte("GET /healthz HTTP/1.0\r\n\r\n"), 7)
	if bytes.Equal(answer, []byte("HTTP/1.")) {
		return httpDoor.noun
	}
	if answer == nil {
		return ""
	}
	answer = probe(ctx, addr, apiVersions(probeCorrelation), 8) // size and correlation id
	if len(answer) == 8 && binary.BigEndian.Uint32(answer) < 1<<20 && binary.BigEndian.Uint32(answer[4:]) == probeCorrelation {
		return kafkaDoor.noun
	}
	return ""
}

// probeCorrelation comes back in the answer of a Kafka door.
const probeCorrelation = 0x6d6c7374

// apiVersions is Kafka's first question, in its oldest version: every server of the protocol answers it.
func apiVersions(correlation uint32) []byte {
	const key, version, noClientID = 18, 0, 0xffff
	b := binary.BigEndian.AppendUint32(nil, 10)
	b = binary.BigEndian.AppendUint16(b, key)
	b = binary.BigEndian.AppendUint16(b, version)
	b = binary.BigEndian.AppendUint32(b, correlation)
	return binary.BigEndian.AppendUint16(b, noClientID)
}

// probe says something at an address and returns the first n bytes of the answer, fewer where no more come, nil where
// nobody listens.
func probe(ctx context.Context, addr string, hello []byte, n int) []byte {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	answer := make([]byte, n)
	if _, err := conn.Write(hello); err != nil {
		return answer[:0]
	}
	got, _ := io.ReadFull(conn, answer) // what came is told
	return answer[:got]
}

// grpcBeside reports whether a gRPC door answers at addr that may be the one beside another door of the same host: where
// that is a Kafka door, the cluster must know it.
func grpcBeside(ctx context.Context, addr, noun, other string) bool {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	cl, err := dialMember(ctx, addr)
	if err != nil {
		return false
	}
	defer cl.Close()
	d, err := cl.Cluster(ctx)
	return err == nil && (noun != kafkaDoor.noun || slices.ContainsFunc(d.Members, func(m client.ClusterMember) bool {
		return portOf(m.Kafka) == portOf(other)
	}))
}

// portOf is what stands behind the last colon.
func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func article(noun string) string {
	if noun == httpDoor.noun {
		return "an " + noun
	}
	return "a " + noun
}
