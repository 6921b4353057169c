package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/millstream-io/millstream/benchmarks/drive"
	"github.com/millstream-io/millstream/benchmarks/load"
	"github.com/millstream-io/millstream/benchmarks/server"
	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cmd/millstream/cli"
)

// What an acknowledgement stands for. Only servers with the same are compared.
const (
	fsync     = "fsync"      // the record is on the disk
	pageCache = "page-cache" // the record is in the memory of the machine's kernel
)

// peer is one server, by one door.
type peer struct {
	name       string
	what       string
	durability string
	ordered    bool
	missing    string // why it cannot be started
	start      func(data string) (*server.Process, error)
	door       func(*server.Process) load.Door
}

func (p peer) skipped() string {
	if p.missing != "" {
		return "left out: " + p.missing
	}
	return "acknowledges with the durability " + p.durability
}

// The names of those that have bars.
const (
	millKafka   = "millstream-kafka"
	millGRPC    = "millstream-grpc"
	kfakeSync   = "kfake-sync"
	redisAlways = "redis-always"
	millLoose   = "millstream-kafka-interval"
	redisSecond = "redis-everysec"
	jsAlways    = "jetstream-sync-always"
	jsDefault   = "jetstream-default"
)

// natsVersion is the client's, as go.mod has it.
const natsVersion = "v1.55.0"

func (c settings) servers() []peer {
	kafka := func(p *server.Process) load.Door { return load.Kafka{Brokers: []string{p.Kafka}} }
	loose := func(p *server.Process) load.Door {
		return load.Kafka{Brokers: []string{p.Kafka}, Configs: map[string]string{"flush.policy": "interval"}}
	}
	grpc := func(p *server.Process) load.Door { return load.GRPC{Address: p.GRPC} }
	jetstream := func(p *server.Process) load.Door { return jetStream{p.Kafka} }
	redis := func(p *server.Process) load.Door { return redisStreams{p.Kafka} }
	member := func(data string) (*server.Process, error) {
		return server.Start(server.Member(c.self, data, "--log-level", "info"))
	}
	role := func(words ...string) func(string) (*server.Process, error) {
		return func(data string) (*server.Process, error) {
			return server.Start(append(append([]string{c.self}, words...), data))
		}
	}
	noRedis := ""
	if _, err := exec.LookPath("redis-server"); err != nil {
		noRedis = "redis-server is not in the path"
	}
	return []peer{
		{millKafka, "a member by its Kafka door, driven by franz-go", fsync, true, "", member, kafka},
		{millGRPC, "a member by its gRPC door, driven by Millstream's client", fsync, true, "", member, grpc},
		{kfakeSync, "franz-go's kfake with SyncWrites, driven by franz-go", fsync, true, "", role("kfake"), kafka},
		{redisAlways, "Redis streams, appendfsync always, pipelines on two connections a producer", fsync, false, noRedis,
			startRedis("always"), redis},
		{jsAlways, "JetStream R1 on files, sync always, asynchronous publishes", fsync, true, "",
			role("jetstream", "always"), jetstream},
		{millLoose, "a member's topics with flush.policy=interval, driven by franz-go", pageCache, true, "", member, loose},
		{redisSecond, "Redis streams, appendfsync everysec, pipelines on two connections a producer", pageCache, false, noRedis,
			startRedis("everysec"), redis},
		{jsDefault, "JetStream R1 on files, as it comes (sync every 2 minutes)", pageCache, true, "",
			role("jetstream", "default"), jetstream},
	}
}

// with runs one server on a fresh directory for use.
func (c settings) with(start func(string) (*server.Process, error), use func(*server.Process) error) error {
	data, err := os.MkdirTemp(c.Dir, "peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	p, err := start(data)
	if err != nil {
		return err
	}
	defer p.Kill() // its directory goes with it
	return use(p)
}

// driven is a peer for the shared driver.
func (p peer) driven(at *server.Process) drive.Server {
	return drive.Server{Door: p.door(at), Pid: at.Pid(), Ordered: p.ordered}
}

// roles are the servers that this program can be; the last word is the data directory.
var roles = map[string]func(words []string) error{
	"server": func([]string) error {
		code := cli.Main(cli.Process{
			Args: os.Args, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		})
		if code != 0 {
			return fmt.Errorf("the member ended with %d", code)
		}
		return nil
	},
	"kfake":       func(words []string) error { return server.Kfake(words[0], os.Stdout) },
	"jetstream":   func(words []string) error { return serveJetStream(words[0] == "always", words[1]) },
	"transformer": func(words []string) error { return serveTransformer(words[0]) },
}

// serveJetStream runs a NATS server with JetStream until it is killed.
func serveJetStream(syncAlways bool, dir string) error {
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: dir, SyncAlways: syncAlways,
		NoLog: true, NoSigs: true, MaxPayload: 8 << 20,
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("no NATS server after 10 s")
	}
	fmt.Println(s.Addr())
	s.WaitForShutdown()
	return nil
}

// serveTransformer runs a member with its Kafka door until it is killed, and on it, from the signal SIGUSR1
// on, the text-transformer.
func serveTransformer(dir string) error {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	m, err := cluster.Start(context.Background(), cluster.Config{
		DataDir: dir, Kafka: "127.0.0.1:0", Logger: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	defer m.Close()
	<-begin
	t, err := transformer()
	if err != nil {
		return err
	}
	return m.Run(context.Background(), t)
}

// startRedis runs redis-server with the append-only file. It is not rewritten meanwhile, and there are no
// snapshots.
func startRedis(appendfsync string) func(string) (*server.Process, error) {
	return func(data string) (*server.Process, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return nil, err
		}
		command := []string{
			"redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", data, "--save", "",
			"--appendonly", "yes", "--appendfsync", appendfsync, "--auto-aof-rewrite-percentage", "0",
			"--daemonize", "no",
		}
		return server.StartSaying(command, func(p *server.Process, line string) {
			if strings.Contains(line, "Ready to accept connections") {
				p.Kafka = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			}
		})
	}
}
