package kafka

// ApiVersions, versions 0 to 4.
//
// The answer's header is that of version 0 in every version, so that a client can read it whatever it
// knows. An unknown version is answered in version 0 with UNSUPPORTED_VERSION and the range of this key,
// and the client asks again. v3 is flexible and brings the client's name and version, which must look
// like ones. v4 allows features with a minimum of 0; no feature is announced.

import (
	"regexp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/proto/fault"
)

const apiVersionsSoftware int16 = 3

// softwareName is what KIP-511 takes for a client's name and version.
var softwareName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

func (c *conn) apiVersions(k *call, body []byte) error {
	req := kmsg.NewPtrApiVersionsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	r := kmsg.NewPtrApiVersionsResponse()
	named := softwareName.MatchString(req.ClientSoftwareName) &&
		softwareName.MatchString(req.ClientSoftwareVersion)
	if k.version >= apiVersionsSoftware && !named {
		r.ErrorCode = fault.InvalidRequest.Kafka()
	} else {
		for _, a := range served() {
			r.ApiKeys = append(r.ApiKeys, apiRange(&a))
		}
	}
	k.answer = func(o *output) { o.message(r) }
	return nil
}

// unknownApiVersions answers a version that is not known. Of such a request nothing but its correlation
// can be read.
func (c *conn) unknownApiVersions(f *frame, k *call) error {
	f.skip(f.left)
	if f.err != nil {
		return f.err
	}
	k.version = 0
	r := kmsg.NewPtrApiVersionsResponse()
	r.ErrorCode = fault.UnsupportedVersion.Kafka()
	r.ApiKeys = append(r.ApiKeys, apiRange(apis[keyApiVersions]))
	k.answer = func(o *output) { o.message(r) }
	k.done()
	return c.enqueue(k)
}

func apiRange(a *api) kmsg.ApiVersionsResponseApiKey {
	r := kmsg.NewApiVersionsResponseApiKey()
	r.ApiKey, r.MinVersion, r.MaxVersion = a.key, a.min, a.max
	return r
}
