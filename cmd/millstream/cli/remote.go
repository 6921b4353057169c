package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	urfave "github.com/urfave/cli/v2"
)

const (
	defaultBrokers = "127.0.0.1:9092"
	dialTimeout    = 3 * time.Second
)

func brokersFlag() urfave.Flag {
	return &urfave.StringFlag{
		Name: "brokers", Usage: "Kafka `ADDRESS` of one or more members, by commas (MILLSTREAM_BROKERS, " +
			"or else the current context, or " + defaultBrokers + ")",
	}
}

func timeoutFlag() urfave.Flag {
	return &urfave.DurationFlag{
		Name: "timeout", Value: 10 * time.Second, Usage: "wait at most `DURATION` for the answer",
	}
}

// dial connects to a member. It blocks until one answers, at most a few seconds, so that a wrong address is
// told at once and not after the retries of a client library. The caller closes the client.
func (s *shell) dial(ctx context.Context, option string, opts ...kgo.Opt) (*kgo.Client, error) {
	where, err := s.address(option, kafkaDoor)
	if err != nil {
		return nil, err
	}
	addrs := strings.Split(where, ",")
	base := []kgo.Opt{
		kgo.SeedBrokers(addrs...), kgo.ClientID("millstream"), kgo.DialTimeout(dialTimeout),
		kgo.MetadataMinAge(100 * time.Millisecond),
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		return nil, usage("these options do not go together").because("%v", err)
	}
	ping, cancel := context.WithTimeout(ctx, dialTimeout+time.Second)
	defer cancel()
	if err := cl.Ping(ping); err != nil {
		cl.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		why := oneLine(err.Error())
		if errors.Is(err, io.EOF) {
			why = "it closed the connection: is that a Kafka door?"
		}
		return nil, fail(exitUnreachable, "no member answers at "+strings.Join(addrs, ",")).because("%s", why).
			hint("start one with `millstream dev`, or name another with --brokers")
	}
	return cl, nil
}

// admin connects for one administrative command, whose answer has to come within --timeout.
func (s *shell) admin(c *urfave.Context, do func(context.Context, *kadm.Client) error) error {
	cl, err := s.dial(c.Context, c.String("brokers"))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	ad := kadm.NewClient(cl)
	ad.SetTimeoutMillis(int32(min(c.Duration("timeout").Milliseconds(), 1<<30)))
	return do(ctx, ad)
}
