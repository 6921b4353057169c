package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/pool"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/gateway/kafka"
	"github.com/millstream-io/millstream/cluster/observe"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/dirlock"
	"github.com/millstream-io/millstream/state/engine/statedb"
)

// Member is one running member of a cluster. It is safe for concurrent use. Close ends it.
type Member struct {
	config    Config
	id        identity
	dir       string
	temporary bool

	lock      *dirlock.Lock
	store     *engine.Store
	reader    *watchedStore // the store as readers and replicas see it
	damage    *damageLog
	disk      *diskWatch
	jobs      *pool.Pool
	workers   *pool.Pool      // of stream tasks: user code runs there, and nothing else
	states    *statedb.States // the rows of stream tasks
	system    *actors.System
	directory *directory
	table     atomic.Pointer[placement.Table]
	broker    *broker.Broker
	client    *client.Client
	clients   clients
	readers   subscriptions
	inFlight  *kafka.Credit // bytes of requests and answers, over all doors
	door      *kafkaDoor
	grpc      *grpcDoor
	http      *httpDoor
	metrics   *observe.Metrics

	stage  atomic.Pointer[string] // of the start
	ready  atomic.Bool            // the start is over: what it set may be read by anybody
	fenced atomic.Pointer[error]  // why the store takes nothing more

	closeOnce sync.Once
	closeErr  error
	closed    chan struct{}
}

// The folders of the data directory: the log, and the rows of stream tasks, which their changelogs have too.
const (
	logDirName   = "log"
	stateDirName = "state"
)

// Start runs a member and returns when its log is ready and its doors are open. ctx bounds the start only: it
// is not kept. Errors name what could not be opened and why; nothing is left behind then.
func Start(ctx context.Context, c Config) (*Member, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Member{config: c.withDefaults(), closed: make(chan struct{})}
	m.inFlight = kafka.NewCredit(m.config.RequestBytes)
	m.metrics = observe.New(observe.Options{Snapshot: m.snapshot, Logger: m.config.Logger})
	m.disk = newDiskWatch(m.metrics, m.config.Logger, m.config.Now)
	m.damage = newDamageLog(m.config.Logger, m.replicaName)
	m.damage.tell = m.tellReplica
	if err := m.start(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Client is a client of this member inside the process. It is closed with the member.
func (m *Member) Client() *client.Client { return m.client }

// ID is the member's id in its cluster.
func (m *Member) ID() record.MemberID { return m.id.member }

// ClusterID names the cluster.
func (m *Member) ClusterID() string { return m.id.cluster }

// DataDir is the directory that the member keeps its log in.
func (m *Member) DataDir() string { return m.dir }

// KafkaAddr is the address that Kafka clients may use, "host:port", or empty where the door is closed.
func (m *Member) KafkaAddr() string {
	if m.door == nil {
		return ""
	}
	return m.door.advertised
}

func (m *Member) start(ctx context.Context) error {
	if err := m.openDir(); err != nil {
		return err
	}
	m.reached("opening the log")
	if err := m.openHTTP(); err != nil {
		return err
	}
	if err := m.openStore(); err != nil {
		return err
	}
	m.reached("reading the metadata")
	listener, err := m.listen()
	if err != nil {
		return err
	}
	if err := m.openActors(ctx); err != nil {
		closeListener(listener)
		return err
	}
	if err := m.register(ctx, m.advertised(listener)); err != nil {
		closeListener(listener)
		return err
	}
	m.reached("reading the partitions")
	if err := m.awaitReplicas(ctx); err != nil {
		closeListener(listener)
		return err
	}
	if err := m.directory.groups.resume(ctx); err != nil {
		closeListener(listener)
		return err
	}
	served, err := m.listenGRPC()
	if err != nil {
		closeListener(listener)
		return err
	}
	if listener != nil {
		m.openDoor(listener)
	}
	if served != nil {
		m.openGRPC(served)
	}
	m.ready.Store(true)
	m.config.Logger.Info("member ready", "node", uint64(m.id.member), "cluster", m.id.cluster,
		"data", m.dir, "kafka", m.KafkaAddr(), "grpc", m.GRPCAddr(), "http", m.HTTPAddr())
	return nil
}

// reached notes how far the start is.
func (m *Member) reached(stage string) { m.stage.Store(&stage) }

// openDir takes the data directory and learns whose it is.
func (m *Member) openDir() (err error) {
	m.dir = m.config.DataDir
	if m.dir == "" {
		if m.dir, err = os.MkdirTemp("", "millstream-"); err != nil {
			return fmt.Errorf("make a temporary data directory: %w", err)
		}
		m.temporary = true
		m.config.Logger.Info("data directory is temporary: it goes at Close", "data", m.dir)
	}
	if m.dir, err = filepath.Abs(m.dir); err != nil {
		return fmt.Errorf("resolve data directory: %w", err)
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if m.lock, err = lockDir(m.dir); err != nil {
		return err
	}
	m.id, err = loadIdentity(m.dir)
	return err
}

// listen opens the Kafka door's listener early: its address is part of what the member registers.
func (m *Member) listen() (net.Listener, error) {
	if m.config.KafkaListener != nil || m.config.Kafka == "" {
		return m.config.KafkaListener, nil
	}
	address, err := doorAddress(m.config.Kafka, m.config.Insecure)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open the Kafka door on %s: %w; free the port, or give another address", address, err)
	}
	return l, nil
}

func (m *Member) advertised(l net.Listener) string {
	if l == nil {
		return ""
	}
	if m.config.AdvertisedKafka != "" {
		return m.config.AdvertisedKafka
	}
	return l.Addr().String()
}

func closeListener(l net.Listener) {
	if l != nil {
		_ = l.Close()
	}
}

// Close drains the doors, stops the tasks and replicas, settles what is queued and closes the store. It is
// idempotent, and returns when no goroutine of the member is left. It waits for the calls of Run, so user
// code of a topology must not call it.
func (m *Member) Close() error {
	m.closeOnce.Do(func() {
		close(m.closed)
		m.closeErr = m.shutdown()
	})
	return m.closeErr
}

// closeTimeout bounds how long the doors and clients may take to drain.
const closeTimeout = 10 * time.Second

func (m *Member) shutdown() error {
	var faults []error
	faults = append(faults, m.closeDoors())
	if m.directory != nil {
		m.directory.tasks.close()
	}
	m.readers.close()
	faults = append(faults, m.clients.close())
	if m.client != nil {
		faults = append(faults, m.client.Close())
	}
	if m.system != nil {
		m.system.Close()
	}
	if m.workers != nil {
		m.workers.Close() // user code that does not come back is waited for
	}
	if m.states != nil {
		faults = append(faults, m.states.Close())
	}
	if m.jobs != nil {
		m.jobs.Close()
	}
	if m.store != nil {
		faults = append(faults, m.store.Close())
	}
	// Last of what answers: a member that is slow to close can be looked into.
	if m.http != nil {
		faults = append(faults, m.http.close())
	} else {
		closeListener(m.config.HTTPListener)
	}
	if m.lock != nil {
		faults = append(faults, m.lock.Release())
	}
	if m.temporary {
		faults = append(faults, os.RemoveAll(m.dir))
	}
	return errors.Join(faults...)
}
