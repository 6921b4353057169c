package client

import (
	"context"
	"fmt"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Send writes a typed record and waits for its answer, like Client.Produce. Errors: Produce's, and
// fault.InvalidRecord where key or value cannot be encoded.
func Send[K, V any](ctx context.Context, c *Client, t topology.Topic[K, V], key K, value V) (record.Offset, error) {
	r, err := Encode(t, key, value)
	if err != nil {
		return -1, err
	}
	return c.Produce(ctx, r)
}

// SendAsync writes a typed record, like Client.ProduceAsync; a key or value that cannot be encoded is refused
// at once.
func SendAsync[K, V any](ctx context.Context, c *Client, t topology.Topic[K, V], key K, value V,
	done func(Delivery)) {
	r, err := Encode(t, key, value)
	if err != nil {
		done(Delivery{Topic: t.Name, Partition: -1, Offset: -1, Err: err})
		return
	}
	c.ProduceAsync(ctx, r, done)
}

// SendNull writes a key without a value and waits for its answer, like Client.Produce: in a compacted topic that deletes
// the key, to a table the row. Errors: Send's.
func SendNull[K, V any](ctx context.Context, c *Client, t topology.Topic[K, V], key K) (record.Offset, error) {
	r, err := EncodeNull(t, key)
	if err != nil {
		return -1, err
	}
	return c.Produce(ctx, r)
}

// EncodeNull makes a record without a value, for ProduceAsync. Errors: Encode's.
func EncodeNull[K, V any](t topology.Topic[K, V], key K) (Record, error) {
	k, err := encode(t.Key, serde.Info{Topic: t.Name, IsKey: true}, key)
	return Record{Topic: t.Name, Key: k}, err
}

// Encode makes a record for a typed topic. A nil serde stands for the built-in one of its type.
func Encode[K, V any](t topology.Topic[K, V], key K, value V) (Record, error) {
	r := Record{Topic: t.Name}
	var err error
	if r.Key, err = encode(t.Key, serde.Info{Topic: t.Name, IsKey: true}, key); err != nil {
		return Record{}, err
	}
	if r.Value, err = encode(t.Value, serde.Info{Topic: t.Name}, value); err != nil {
		return Record{}, err
	}
	return r, nil
}

// Decode reads key and value of a record of a typed topic; what is null becomes the zero value. Error:
// fault.InvalidRecord.
func Decode[K, V any](t topology.Topic[K, V], r Record) (key K, value V, err error) {
	if key, err = decode(t.Key, serde.Info{Topic: t.Name, IsKey: true}, r.Key); err != nil {
		return key, value, fmt.Errorf("decode %s/%d at %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	if value, err = decode(t.Value, serde.Info{Topic: t.Name}, r.Value); err != nil {
		return key, value, fmt.Errorf("decode %s/%d at %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return key, value, nil
}

func encode[T any](s serde.Serde[T], info serde.Info, v T) ([]byte, error) {
	s, err := pick(s, info)
	if err != nil {
		return nil, err
	}
	b, err := serde.Encode(s, nil, info, v)
	return b, refusal("encode", info, err)
}

func decode[T any](s serde.Serde[T], info serde.Info, b []byte) (v T, err error) {
	if s, err = pick(s, info); err != nil {
		return v, err
	}
	v, _, err = serde.Decode(s, b, info)
	return v, refusal("decode", info, err)
}

func pick[T any](s serde.Serde[T], info serde.Info) (serde.Serde[T], error) {
	if s != nil {
		return s, nil
	}
	if s, ok := serde.For[T](); ok {
		return s, nil
	}
	var none T
	return nil, fault.New(fault.InvalidRecord, "topic %q has no serde for its %s of type %T", info.Topic, side(info),
		none).WithHint("name one in the topic, for instance serde.JSON")
}

// refusal makes a refusal of what a serde says, unless it is one.
func refusal(verb string, info serde.Info, err error) error {
	if err == nil || fault.CodeOf(err) != fault.Unknown {
		return err
	}
	return fault.New(fault.InvalidRecord, "%s the %s for topic %q: %w", verb, side(info), info.Topic, err)
}

func side(info serde.Info) string {
	if info.IsKey {
		return "key"
	}
	return "value"
}
