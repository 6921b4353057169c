package cli

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/knadh/koanf/v2"
	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster"
)

// setting is one key of a server's configuration. A key `kafka.listen` is `--kafka-listen` on the command
// line, MILLSTREAM_KAFKA_LISTEN in the environment and `kafka: {listen: …}` in the file.
type setting struct {
	key   string
	value string // the default
	help  string
	take  func(*serverConfig, string) error
}

// serverConfig is what the settings say, in types.
type serverConfig struct {
	member    cluster.Config
	logLevel  slog.Level
	logFormat string
}

// defaultBrokers is where Kafka's clients are served.
const defaultBrokers = "127.0.0.1:9092"

// defaultGRPC is where the gRPC services are served.
const defaultGRPC = "127.0.0.1:7070"

// defaultHTTP is where metrics, health and profiles are served.
const defaultHTTP = "127.0.0.1:8080"

// settings is every key, in the order in which it is printed.
var settings = []setting{
	{"data", "", "directory of the log", func(c *serverConfig, v string) error {
		c.member.DataDir = v
		return nil
	}},
	{"insecure", "false", "allow doors beyond loopback; there is no TLS and no authentication yet",
		func(c *serverConfig, v string) error { return takeBool(&c.member.Insecure, v) }},
	{"kafka.listen", defaultBrokers, "address of the Kafka door; empty closes it",
		func(c *serverConfig, v string) error {
			c.member.Kafka = v
			return nil
		}},
	{"kafka.advertise", "", "address that Kafka clients are told; empty is the one listened on",
		func(c *serverConfig, v string) error {
			c.member.AdvertisedKafka = v
			return nil
		}},
	{"grpc.listen", defaultGRPC, "address of the gRPC door; empty closes it",
		func(c *serverConfig, v string) error {
			c.member.GRPC = v
			return nil
		}},
	{"http.listen", defaultHTTP, "address of metrics, health and profiles; empty closes it",
		func(c *serverConfig, v string) error {
			c.member.HTTP = v
			return nil
		}},
	{"topics.auto_create", "false", "make a topic when it is first used",
		func(c *serverConfig, v string) error { return takeBool(&c.member.AutoCreateTopics, v) }},
	{"topics.default_partitions", "1", "partitions of a topic whose maker names none",
		func(c *serverConfig, v string) error { return takeInt(&c.member.DefaultPartitions, v) }},
	{"tasks.workers", "0", "steps of stream tasks that run at the same time; 0 is one for each processor",
		func(c *serverConfig, v string) error { return takeInt(&c.member.TaskWorkers, v) }},
	{"tasks.commit_interval", "100ms", "how often a stream task notes what it has finished",
		func(c *serverConfig, v string) error { return takeDuration(&c.member.CommitInterval, v) }},
	{"tasks.state_bytes", "134217728", "memory for the stores of all stream tasks, in bytes",
		func(c *serverConfig, v string) error { return takeInt64(&c.member.StateBytes, v) }},
	{"groups.rebalance_delay", "3s", "how long the first member of an empty consumer group waits for others",
		func(c *serverConfig, v string) error { return takeDuration(&c.member.GroupRebalanceDelay, v) }},
	{"groups.offsets_retention", "168h", "how long the offsets of a group without members are kept",
		func(c *serverConfig, v string) error { return takeDuration(&c.member.OffsetsRetention, v) }},
	{"storage.bucket_bytes", "1073741824", "size at which a log bucket is closed and the next begun, in bytes",
		func(c *serverConfig, v string) error { return takeInt64(&c.member.BucketBytes, v) }},
	{"storage.tail_cache_bytes", "33554432", "memory for recent batches, over all partitions, in bytes",
		func(c *serverConfig, v string) error { return takeInt64(&c.member.TailCacheBytes, v) }},
	{"storage.accept_loss", "false", "start on a log that has lost durable writes, and give them up",
		func(c *serverConfig, v string) error { return takeBool(&c.member.AcceptLoss, v) }},
	{"log.level", "info", "debug, info, warn or error", func(c *serverConfig, v string) error {
		if err := c.logLevel.UnmarshalText([]byte(v)); err != nil {
			return fmt.Errorf("%q is none of debug, info, warn, error", v)
		}
		return nil
	}},
	{"log.format", "json", "json or text", func(c *serverConfig, v string) error {
		if c.logFormat = v; v != "json" && v != "text" {
			return fmt.Errorf("%q is neither json nor text", v)
		}
		return nil
	}},
}

func takeBool(to *bool, v string) (err error) {
	if *to, err = strconv.ParseBool(v); err != nil {
		return fmt.Errorf("%q is neither true nor false", v)
	}
	return nil
}

func takeInt(to *int, v string) (err error) {
	if *to, err = strconv.Atoi(v); err != nil {
		return fmt.Errorf("%q is no whole number", v)
	}
	return nil
}

func takeInt64(to *int64, v string) (err error) {
	if *to, err = strconv.ParseInt(v, 10, 64); err != nil {
		return fmt.Errorf("%q is no whole number", v)
	}
	return nil
}

func takeDuration(to *time.Duration, v string) (err error) {
	if *to, err = time.ParseDuration(v); err != nil {
		return fmt.Errorf("%q is no duration such as 100ms", v)
	}
	return nil
}

func (k setting) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.key) }

func (k setting) env() string {
	return "MILLSTREAM_" + strings.ToUpper(strings.ReplaceAll(k.key, ".", "_"))
}

// settingFlags are the options of the command server.
func settingFlags() []urfave.Flag {
	flags := []urfave.Flag{
		&urfave.StringFlag{Name: "config", Usage: "YAML `FILE`; MILLSTREAM_CONFIG names one too"},
	}
	for _, k := range settings {
		if k.value == "true" || k.value == "false" {
			flags = append(flags, &urfave.BoolFlag{Name: k.flag(), Usage: k.help})
			continue
		}
		flags = append(flags, &urfave.StringFlag{Name: k.flag(), Value: k.value, Usage: k.help})
	}
	return flags
}

// layer is one source of settings: defaults, file, environment or options. Its keys are nested maps.
type layer struct {
	name   string
	values map[string]any
}

// ReadBytes is not how a layer is read.
func (l layer) ReadBytes() ([]byte, error) { return nil, fmt.Errorf("%s are not bytes", l.name) }

// Read returns the nested keys.
func (l layer) Read() (map[string]any, error) { return l.values, nil }

func (l layer) set(key string, v any) {
	m := l.values
	parts := strings.Split(key, ".")
	for _, p := range parts[:len(parts)-1] {
		next, ok := m[p].(map[string]any)
		if !ok {
			next = make(map[string]any)
			m[p] = next
		}
		m = next
	}
	m[parts[len(parts)-1]] = v
}

// origin is a value and where it came from.
type origin struct {
	setting
	given string
	from  string
}

// loadSettings merges options over environment over file over defaults, and refuses keys that nobody knows.
func (s *shell) loadSettings(c *urfave.Context) ([]origin, error) {
	defaults := layer{"default", map[string]any{}}
	options := layer{"option", map[string]any{}}
	for _, k := range settings {
		defaults.set(k.key, k.value)
		if c.IsSet(k.flag()) {
			options.set(k.key, fmt.Sprint(c.Value(k.flag())))
		}
	}
	file, err := s.fileLayer(c.String("config"))
	if err != nil {
		return nil, err
	}
	env, err := s.envLayer()
	if err != nil {
		return nil, err
	}
	merged := koanf.New(".")
	from := make(map[string]string)
	for _, l := range []layer{defaults, file, env, options} {
		one := koanf.New(".")
		if err := one.Load(l, nil); err != nil {
			return nil, fmt.Errorf("read %s: %w", l.name, err)
		}
		for _, key := range one.Keys() {
			from[key] = l.name
		}
		if err := merged.Merge(one); err != nil {
			return nil, fmt.Errorf("merge %s: %w", l.name, err)
		}
	}
	var out []origin
	for _, k := range settings {
		o := origin{setting: k, given: fmt.Sprint(merged.Get(k.key)), from: from[k.key]}
		switch o.from {
		case "environment":
			o.from += " " + k.env()
		case "option":
			o.from += " --" + k.flag()
		}
		out = append(out, o)
	}
	return out, nil
}

// fileLayer reads the YAML file, if there is one.
func (s *shell) fileLayer(name string) (layer, error) {
	l := layer{"file", map[string]any{}}
	if name == "" {
		name = s.env("MILLSTREAM_CONFIG")
	}
	if name == "" {
		return l, nil
	}
	l.name = "file " + name
	text, err := os.ReadFile(name)
	if err != nil {
		return l, fail(exitNotFound, "the configuration file cannot be read").because("%v", err)
	}
	if err := yaml.Unmarshal(text, &l.values); err != nil {
		return l, usage("%s is no YAML", name).because("%s", yaml.FormatError(err, false, false))
	}
	if l.values == nil {
		l.values = map[string]any{}
	}
	read := koanf.New(".")
	if err := read.Load(l, nil); err != nil {
		return l, usage("%s cannot be read", name).because("%v", err)
	}
	for _, key := range read.Keys() {
		if err := checkKey(name, key, read.Get(key)); err != nil {
			return l, err
		}
	}
	return l, nil
}

// checkKey refuses unknown keys, and known ones that hold a list or a map.
func checkKey(where, key string, value any) error {
	var known []string
	for _, k := range settings {
		known = append(known, k.key)
	}
	if !slices.Contains(known, key) {
		f := usage("unknown key %q in %s", key, where).because("the keys are: %s", strings.Join(known, ", ")).
			hint("millstream server print-config shows a whole file")
		if n := nearest(key, known); n != "" {
			f.hint("%s", n)
		}
		return f
	}
	switch value.(type) {
	case []any, map[string]any, nil:
		return usage("key %q in %s has no plain value", key, where).hint("%s: value", key)
	}
	return nil
}

// envLayer reads MILLSTREAM_… variables. Those of the client commands, and those that Kubernetes makes for a
// service of this name, are left alone.
func (s *shell) envLayer() (layer, error) {
	l := layer{"environment", map[string]any{}}
	var known []string
	keys := make(map[string]string)
	for _, k := range settings {
		known = append(known, k.env())
		keys[k.env()] = k.key
	}
	for _, pair := range s.Environ {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case !strings.HasPrefix(name, "MILLSTREAM_"), name == "MILLSTREAM_CONFIG", name == kafkaDoor.variable, name == grpcDoor.variable,
			name == contextVariable,
			strings.HasPrefix(name, "MILLSTREAM_SERVICE_"), strings.HasPrefix(name, "MILLSTREAM_PORT"):
			continue
		case keys[name] == "":
			f := usage("unknown variable %s in the environment", name).
				because("the variables are: %s", strings.Join(known, ", ")).hint("unset %s", name)
			if n := nearest(name, known); n != "" {
				f.hint("%s", n)
			}
			return l, f
		}
		l.set(keys[name], value)
	}
	return l, nil
}

// typed turns settings into the configuration of a member, and reports every fault at once.
func typed(all []origin) (*serverConfig, error) {
	c := &serverConfig{member: cluster.Defaults()}
	var faults []string
	for _, o := range all {
		if o.key == "tasks.workers" && o.given == "0" {
			continue // the member's own default
		}
		if err := o.take(c, o.given); err != nil {
			faults = append(faults, fmt.Sprintf("%s (%s): %v", o.key, o.from, err))
		}
	}
	if c.member.DataDir == "" {
		faults = append(faults, "data is empty: a server keeps its log in a directory that you name")
	}
	if err := c.member.Validate(); err != nil {
		faults = append(faults, strings.Split(err.Error(), "\n")...)
	}
	if len(faults) > 0 {
		return nil, usage("the configuration does not hold").because("%s", strings.Join(faults, "; ")).
			hint("millstream server print-config --origins shows where each value comes from")
	}
	return c, nil
}
