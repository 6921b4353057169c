package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

const (
	restoreName = "restore through a member"
	restartName = "restart on the same disk"
)

func modifyName(pick string, changelog bool) string {
	if changelog {
		return "read-modify-write/changelog/" + pick
	}
	return "read-modify-write/no changelog/" + pick
}

// picks choose the keys that are modified.
var picks = []struct {
	name string
	next func(keys int) func() uint64
}{
	{"uniform", func(keys int) func() uint64 {
		rng := rand.New(rand.NewPCG(2, 1))
		return func() uint64 { return rng.Uint64N(uint64(keys)) }
	}},
	{"zipf 1.1", func(keys int) func() uint64 {
		return rand.NewZipf(rand.New(rand.NewPCG(3, 1)), 1.1, 1, uint64(keys-1)).Uint64
	}},
}

// modify fills a store and modifies it, with a changelog and without. The one with a changelog is then given up and
// restored, and started again.
func (c settings) modify(dir string, out *measure.Results, n int) error {
	for i := range 2 {
		with := (i+n)%2 == 0 // who is first changes
		sub := filepath.Join(dir, fmt.Sprint(with))
		m, err := startMember(sub)
		if err != nil {
			return err
		}
		x := newModifier("modify", with)
		err = c.modifyAll(m, x, out, n)
		if err = errors.Join(err, m.Close()); err != nil {
			return err
		}
		if !with {
			continue
		}
		if err := c.restore(sub, x, out, n); err != nil {
			return err
		}
		if err := c.restart(sub, x, out, n); err != nil {
			return err
		}
	}
	return nil
}

func (c settings) modifyAll(m member, x *modifier, out *measure.Results, n int) error {
	if err := m.create(1, x.app+"-changes", x.app+"-probes"); err != nil {
		return err
	}
	if _, err := c.change(m, x, c.keys, func(i int) uint64 { return uint64(i) }); err != nil {
		return err
	}
	for _, p := range picks {
		next := p.next(c.keys)
		figures, err := c.change(m, x, c.changes, func(int) uint64 { return next() })
		if err != nil {
			return err
		}
		out.Add(modifyName(p.name, x.changelog), n, figures)
	}
	return nil
}

// change writes changes, and then runs the topology from the first of them until all are committed.
func (c settings) change(m member, x *modifier, n int, key func(i int) uint64) (map[string]float64, error) {
	err := m.produce(n, func(i int) client.Record { return c.changeOf(x, key(i), 0) })
	if err != nil {
		return nil, err
	}
	x.done.Store(0)
	a, err := m.run(x.builder())
	if err != nil {
		return nil, err
	}
	var w watch
	err = a.await(func() (bool, error) { return x.done.Load() > 0, nil })
	if err == nil {
		w, err = startWatch()
	}
	before := min(x.done.Load(), int64(n-1)) // tiny runs are over when they are first looked at
	if err == nil {
		err = a.await(func() (bool, error) { return x.done.Load() >= int64(n), nil })
	}
	if err = errors.Join(err, a.stop()); err != nil {
		return nil, err
	}
	return w.figures(n-int(before), "change")
}

// changeOf is one input: the key, and the value that it has at first.
func (c settings) changeOf(x *modifier, key uint64, p int) client.Record {
	value := make([]byte, c.valueBytes)
	measure.Fill(value[8:], key)
	spread := binary.BigEndian.AppendUint64(nil, key*0x9E3779B97F4A7C15) // over the whole range of keys
	return client.Record{Topic: x.app + "-changes", Key: spread, Value: value}.At(record.Partition(p))
}

// restore begins without rows on disk, and waits until the task runs.
func (c settings) restore(dir string, x *modifier, out *measure.Results, n int) error {
	if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
		return err
	}
	m, err := startMember(dir)
	if err != nil {
		return err
	}
	changelog := x.app + "-rows-changelog"
	records, err := m.ends(changelog)
	if err != nil {
		return errors.Join(err, m.Close())
	}
	w, err := startWatch()
	if err != nil {
		return errors.Join(err, m.Close())
	}
	a, err := m.run(x.builder())
	if err != nil {
		return errors.Join(err, m.Close())
	}
	err = a.await(func() (bool, error) {
		r, err := m.App(x.app)
		return err == nil && len(r.Tasks) == 1 && r.Tasks[0].State == cluster.TaskRunning, nil
	})
	took := time.Since(w.begin).Seconds()
	figures, err2 := w.figures(int(records), "record")
	figures["mb_per_s"] = float64(records) * float64(8+8+c.valueBytes) / (1 << 20) / took
	out.Add(restoreName, n, figures)
	return errors.Join(err, err2, a.stop(), m.Close())
}

// restart measures from nothing running to the first new output.
func (c settings) restart(dir string, x *modifier, out *measure.Results, n int) error {
	begin := time.Now()
	m, err := startMember(dir)
	if err != nil {
		return err
	}
	ready := time.Since(begin)
	before, err := m.ends(x.app + "-probes")
	if err != nil {
		return errors.Join(err, m.Close())
	}
	x.probe.Store(true)
	defer x.probe.Store(false)
	a, err := m.run(x.builder())
	if err != nil {
		return errors.Join(err, m.Close())
	}
	err = m.produce(1, func(int) client.Record { return c.changeOf(x, 0, 0) })
	if err == nil {
		err = a.await(func() (bool, error) {
			now, err := m.ends(x.app + "-probes")
			return now > before, err
		})
	}
	out.Add(restartName, n, map[string]float64{
		"first_output_ms": time.Since(begin).Seconds() * 1000, "member_ready_ms": ready.Seconds() * 1000,
	})
	return errors.Join(err, a.stop(), m.Close())
}

// modifier is the topology: it adds one to the number at the beginning of a row, which is the first input of the
// key where there is none. While probe is set it writes out what it did.
type modifier struct {
	app       string
	changelog bool
	rows      topology.Store[[]byte, []byte]
	done      atomic.Int64
	probe     atomic.Bool
}

func newModifier(app string, changelog bool) *modifier {
	var opts []topology.StoreOption
	if !changelog {
		opts = append(opts, topology.ChangelogOff())
	}
	return &modifier{app: app, changelog: changelog, rows: topology.KV("rows", serde.Bytes, serde.Bytes, opts...)}
}

func (x *modifier) builder() *topology.Builder {
	b := topology.NewBuilder(x.app)
	changes := topology.From(b, topology.NewTopic(x.app+"-changes", serde.Bytes, serde.Bytes), topology.FromEarliest())
	topology.Process(changes, func() topology.Processor[[]byte, []byte, []byte, []byte] { return &modifying{x: x} },
		topology.Using(x.rows)).To(topology.NewTopic(x.app+"-probes", serde.Bytes, serde.Bytes))
	return b
}

type modifying struct {
	x     *modifier
	store *topology.KeyValue[[]byte, []byte]
	turns uint64
}

func (p *modifying) Init(ctx *topology.ProcessorContext[[]byte, []byte]) (err error) {
	p.store, err = topology.Open(ctx, p.x.rows)
	return err
}

func (p *modifying) Process(
	ctx *topology.ProcessorContext[[]byte, []byte], r topology.Record[[]byte, []byte],
) error {
	key := r.Key
	if key == nil {
		key = p.turn()
	}
	v, ok, err := p.store.Get(key)
	if err != nil {
		return err
	}
	if !ok {
		v = slices.Clone(r.Value)
	}
	binary.BigEndian.PutUint64(v, binary.BigEndian.Uint64(v)+1)
	if err := p.store.Put(key, v); err != nil {
		return err
	}
	if p.x.probe.Load() {
		ctx.Forward(r)
	}
	p.x.done.Add(1)
	return nil
}

// turn takes one key after the other, for records that have none.
func (p *modifying) turn() []byte {
	p.turns++
	return binary.BigEndian.AppendUint64(nil, p.turns%10_000)
}

func (p *modifying) Close() error { return nil }
