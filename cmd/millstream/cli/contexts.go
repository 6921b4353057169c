package cli

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	urfave "github.com/urfave/cli/v2"
)

// place is one cluster that commands can talk to: where its doors are. An empty address is not known.
type place struct {
	Kafka string `yaml:"kafka,omitempty" json:"kafka,omitempty"`
	GRPC  string `yaml:"grpc,omitempty" json:"grpc,omitempty"`
	HTTP  string `yaml:"http,omitempty" json:"http,omitempty"`
}

// contexts is the user's file of places.
type contexts struct {
	Current  string           `yaml:"current,omitempty"`
	Contexts map[string]place `yaml:"contexts"`
}

// contextVariable names a context for every command, unless --context does.
const contextVariable = "MILLSTREAM_CONTEXT"

func contextFlag() urfave.Flag {
	return &urfave.StringFlag{
		Name: "context", Usage: "talk to the cluster of the context `NAME` (" + contextVariable + "; see millstream context)",
	}
}

// contextsFile is where the contexts are kept; empty where the environment names no home.
func (s *shell) contextsFile() string {
	dir := s.env("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // the standard says to ignore those
		dir = ""
		if home := s.env("HOME"); home != "" {
			dir = filepath.Join(home, ".config")
		} else if roaming := s.env("APPDATA"); roaming != "" {
			dir = roaming
		}
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "millstream", "contexts.yaml")
}

// readContexts reads the file. One that is not there has no contexts.
func (s *shell) readContexts() (contexts, error) {
	c := contexts{Contexts: map[string]place{}}
	name := s.contextsFile()
	if name == "" {
		return c, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fail(exitFailure, "the contexts cannot be read").because("%v", err)
	}
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
		return c, usage("%s holds no contexts", name).because("%s", yaml.FormatError(err, false, false)).
			hint("mend it, or move it away and `millstream context add` them again")
	}
	if c.Contexts == nil {
		c.Contexts = map[string]place{}
	}
	return c, nil
}

// writeContexts replaces the file at once. Only its owner may read it.
func (s *shell) writeContexts(c contexts) error {
	name := s.contextsFile()
	if name == "" {
		return fail(exitFailure, "there is no place for contexts").
			because("neither XDG_CONFIG_HOME nor HOME is set in the environment").hint("set HOME")
	}
	text, err := yaml.Marshal(c)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o700)
	}
	if err == nil {
		err = replaceFile(name, text)
	}
	if err != nil {
		return fail(exitFailure, "the contexts cannot be written").because("%v", err)
	}
	return nil
}

func replaceFile(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".contexts-")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// named is the context that commands use, "" where none is: --context, or else MILLSTREAM_CONTEXT, or else
// the current one.
func (s *shell) named(c contexts) string {
	for _, name := range []string{s.context, s.env(contextVariable), c.Current} {
		if name != "" {
			return name
		}
	}
	return ""
}

// door is one way into a member, for the commands that talk to it.
type door struct {
	noun     string
	flag     string
	variable string
	standard string // the address where nobody names one
	of       func(place) string
}

var (
	kafkaDoor = door{"Kafka", "brokers", "MILLSTREAM_BROKERS", defaultBrokers, func(p place) string { return p.Kafka }}
	grpcDoor  = door{"gRPC", "addr", "MILLSTREAM_ADDR", defaultGRPC, func(p place) string { return p.GRPC }}
	httpDoor  = door{"HTTP", "http", "MILLSTREAM_HTTP_LISTEN", defaultHTTP, func(p place) string { return p.HTTP }}
)

// address is where a door is: the command's own option, or else the context that --context names, or else
// the door's variable, or else the context that is used anyway, or else the standard. A context that does
// not know the door is an error, so that nobody talks to another cluster by accident; and so is a variable that
// names only the Kafka door of one.
func (s *shell) address(option string, d door) (string, error) {
	if option != "" {
		return option, d.check(option)
	}
	if v := s.env(d.variable); v != "" && s.context == "" {
		return v, nil
	}
	c, err := s.readContexts()
	if err != nil {
		return "", err
	}
	name := s.named(c)
	if kafka := s.env(kafkaDoor.variable); name == "" && kafka != "" && d.flag == grpcDoor.flag {
		return "", usage("%s names a Kafka door, %s, and this command speaks gRPC", kafkaDoor.variable, kafka).
			hint("set %s, or --%s ADDRESS", d.variable, d.flag)
	}
	if name == "" {
		return d.standard, nil
	}
	p, ok := c.Contexts[name]
	if !ok {
		return "", noSuchContext(c, name)
	}
	if d.of(p) == "" {
		return "", usage("the context %q has no address of the %s door", name, d.noun).
			hint("--%s ADDRESS, or: millstream context add %s --replace with it", d.flag, name)
	}
	return d.of(p), nil
}

func noSuchContext(c contexts, name string) error {
	names := slices.Sorted(maps.Keys(c.Contexts))
	f := fail(exitNotFound, "there is no context \""+name+"\"").hint("millstream context ls")
	if len(names) > 0 {
		f.because("the contexts are: %s", strings.Join(names, ", "))
	}
	if n := nearest(name, names); n != "" {
		f.hint("%s", n)
	}
	return f
}

// check refuses an option that is no address; only a Kafka door may have several.
func (d door) check(option string) error {
	if err := checkAddresses(d.flag, option); err != nil {
		return err
	}
	if d.flag != kafkaDoor.flag && strings.Contains(option, ",") {
		return usage("--%s takes one address", d.flag).hint("--%s host:port", d.flag)
	}
	return nil
}

// checkAddresses refuses what is no address, or several by commas.
func checkAddresses(flag, value string) error {
	for _, a := range strings.Split(value, ",") {
		if _, port, err := net.SplitHostPort(a); err != nil || port == "" {
			return usage("--%s %q is no address", flag, a).hint("--%s host:port", flag)
		}
	}
	return nil
}
