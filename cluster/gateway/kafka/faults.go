package kafka

import (
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// Error codes that exist only in this protocol: the port knows neither fetch sessions nor kinds of endpoints.
const (
	wireFetchSessionIDNotFound int16 = 70
	wireMismatchedEndpointType int16 = 114
	wireUnsupportedEndpoint    int16 = 115
)

// kafkaCode is the error code of a refusal, 0 for nil.
func kafkaCode(err error) int16 { return fault.CodeOf(err).Kafka() }

// maxMessage bounds the text of a refusal in bytes: it may quote a name as long as the client likes.
const maxMessage = 2000

// kafkaMessage is the text of a refusal with its hint, nil for nil.
func kafkaMessage(err error) *string {
	if err == nil {
		return nil
	}
	s := err.Error()
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return &s
}

// after is the deadline of a request that may take timeoutMs.
func (c *conn) after(timeoutMs int32) time.Time {
	return c.s.o.Now().Add(time.Duration(max(timeoutMs, 0)) * time.Millisecond)
}
