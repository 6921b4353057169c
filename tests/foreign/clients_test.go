package foreign

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

// client is one library that is run against a member.
type client struct {
	name     string
	codecs   []string
	balancer []string // names of assignment strategies, as the library spells them
	admin    []string // the steps that its administrator must say ok to
	command  func(t *testing.T, c *client) func(args ...string) *exec.Cmd
}

var everyCodec = []string{"none", "gzip", "snappy", "lz4", "zstd"}

var everyStep = []string{"create", "describe", "configs", "offsets", "groups", "delete"}

// javaStrategies are the classes of assignors, without their package.
var javaStrategies = []string{"CooperativeStickyAssignor", "RangeAssignor"}

func clients() []client {
	return []client{
		{"java-3.9.1", everyCodec, javaStrategies, everyStep, javaOf("3.9.1")},
		{"java-4.1.1", everyCodec, javaStrategies, everyStep, javaOf("4.1.1")},
		{"kafkajs-2.2.4", []string{"none", "gzip", "snappy", "lz4"}, []string{"RoundRobinAssigner"}, everyStep,
			node("kafkajs.js")},
		// Its zstd needs a newer Node. For groups see doc.go.
		{"platformatic-1.35.0", []string{"none", "gzip", "snappy", "lz4"}, nil, everyStep, node("platformatic.js")},
		{
			"confluent-kafka-2.16.1", everyCodec, []string{"cooperative-sticky", "range"}, everyStep,
			python("confluent.py"),
		},
		{"kafka-python-3.0.12", everyCodec, []string{"roundrobin"}, everyStep, python("kafkapython.py")},
		{"aiokafka-0.14.0", everyCodec, []string{"roundrobin"}, everyStep, python("aio.py")},
	}
}

// onEach runs a test with each client as a sub-test, each on a member of its own.
func onEach(t *testing.T, f func(t *testing.T, c *client, run func(args ...string) *exec.Cmd)) {
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) { f(t, &c, c.command(t, &c)) })
	}
}

// library returns the folder of a library, or skips the test.
func library(t *testing.T, name ...string) string {
	t.Helper()
	base := os.Getenv("FOREIGN_CLIENTS")
	if base == "" {
		t.Skip("FOREIGN_CLIENTS is not set: it names the folder that tests/foreign/fetch prints")
	}
	dir := filepath.Join(append([]string{base}, name...)...)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("%s is not in $FOREIGN_CLIENTS: tests/foreign/fetch puts it there", filepath.Join(name...))
	}
	return dir
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func script(t *testing.T, name ...string) string {
	t.Helper()
	return filepath.Join(append([]string{harness.Root(), "tests", "foreign"}, name...)...)
}

func node(file string) func(*testing.T, *client) func(...string) *exec.Cmd {
	return func(t *testing.T, _ *client) func(...string) *exec.Cmd {
		path, modules := program(t, "node"), library(t, "node", "node_modules")
		return func(args ...string) *exec.Cmd {
			cmd := exec.Command(path, append([]string{script(t, "node", file)}, args...)...)
			cmd.Env = append(os.Environ(), "NODE_PATH="+modules, "KAFKAJS_NO_PARTITIONER_WARNING=1")
			return cmd
		}
	}
}

func python(file string) func(*testing.T, *client) func(...string) *exec.Cmd {
	return func(t *testing.T, c *client) func(...string) *exec.Cmd {
		path, packages := program(t, "python3"), library(t, "python")
		module := map[string]string{
			"confluent.py": "confluent_kafka", "kafkapython.py": "kafka", "aio.py": "aiokafka",
		}[file]
		env := append(os.Environ(), "PYTHONPATH="+packages, "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=ignore")
		try := exec.Command(path, "-c", "import "+module)
		try.Env = env
		if out, err := try.CombinedOutput(); err != nil {
			t.Skipf("python3 cannot load %s: %s", module, out[max(0, len(out)-500):])
		}
		return func(args ...string) *exec.Cmd {
			cmd := exec.Command(path, append([]string{script(t, "python", file)}, args...)...)
			cmd.Env = env
			return cmd
		}
	}
}

// javaOf compiles the classes against a version of the libraries.
func javaOf(version string) func(*testing.T, *client) func(...string) *exec.Cmd {
	return func(t *testing.T, _ *client) func(...string) *exec.Cmd {
		path, compiler, jars := program(t, "java"), program(t, "javac"), library(t, "java", version)
		classes := t.TempDir()
		sources, err := filepath.Glob(script(t, "java", "*.java"))
		if err != nil || len(sources) == 0 {
			t.Fatalf("no sources: %v", err)
		}
		classPath := strings.Join([]string{classes, filepath.Join(jars, "*")}, string(os.PathListSeparator))
		args := append([]string{"-nowarn", "-d", classes, "-cp", classPath}, sources...)
		if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
			t.Fatalf("javac: %v\n%s", err, out)
		}
		return func(args ...string) *exec.Cmd {
			return exec.Command(path, append([]string{"-XX:TieredStopAtLevel=1", "-Xmx256m", "-XX:+UseSerialGC",
				"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classPath, "Client"}, args...)...)
		}
	}
}
