package stage

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/topology"
)

var (
	in  = topology.NewTopic[string, string]("in", nil, nil)
	out = topology.NewTopic[string, string]("out", nil, nil)
)

// play runs a topology that fails at the word "bad" and passes everything else on.
func play(t *testing.T, ctx context.Context, word string, show Act) error {
	t.Helper()
	b := topology.NewBuilder("stage")
	topology.TryMapValues(topology.From(b, in),
		func(_ context.Context, r topology.Record[string, string]) (string, error) {
			if r.Value == "bad" {
				return "", errBad
			}
			return r.Value, nil
		}).To(out)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return Run(ctx, topo, 1, func(ctx context.Context, c *client.Client) error {
		return Send(ctx, c, in, P("k", word))
	}, show)
}

var errBad = errors.New("a bad word")

func readOne(ctx context.Context, c *client.Client) error {
	_, err := Read(ctx, c, out, 1)
	return err
}

// Goal: Run gives back why an example cannot go on, and leaves nothing behind. Method: a topology that works,
// one whose task stops while its results are waited for, and a context that ends meanwhile.
func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	if err := play(t, t.Context(), "good", readOne); err != nil {
		t.Error(err)
	}
	if err := play(t, t.Context(), "bad", readOne); !errors.Is(err, errBad) {
		t.Errorf("a task stopped: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := play(t, ctx, "good", func(ctx context.Context, c *client.Client) error {
		cancel()
		_, err := Read(ctx, c, out, 2)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the context ended: %v", err)
	}
}
