package observe

import (
	"iter"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millstream-io/millstream/proto/record"
)

// Snapshot is what is so on a member at one moment.
type Snapshot struct {
	Started bool // the member has started; where not, only Fenced means anything
	Ready   bool // it has started and is not closing
	Fenced  bool // its store takes nothing more

	Member  record.MemberID
	Cluster string

	Topics      int   // in the cluster, internal ones included
	Tasks       int   // stream tasks that the table places here
	WaitingJobs int   // disk reads and other blocking jobs that wait for a worker
	FreeBytes   int64 // that may still be written before writes are refused

	LostClasses   []string // retention classes that lost durable writes and take no more
	DamagedRanges int      // of entries that readers found, over all partitions

	// Partitions yields those that live here, the metadata log included. No two have the same topic and
	// number.
	Partitions iter.Seq[Partition]

	// States yields the state databases that are open; nil for none.
	States iter.Seq[State]
}

// Partition is one replica that lives on the member.
type Partition struct {
	Replica   record.ReplicaID
	Topic     string // the metadata log has a name that no topic can have
	Partition record.Partition
	Serving   bool // it has published a view; where not, what follows means nothing
	Leader    bool
	ReadOnly  bool // damage keeps it from taking writes
	Epoch     record.Epoch

	DamagedRanges int // of its entries, that readers found

	LogStart, HighWatermark, LastStable, LogEnd record.Offset
}

// snapshotCollector asks for a Snapshot at each scrape.
type snapshotCollector struct {
	ask        func() Snapshot
	partitions *partitionMeters
	state      *stateMeter
}

var _ prometheus.Collector = (*snapshotCollector)(nil)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func perPartition(name, help string) *prometheus.Desc {
	return describe(name, help, "topic", "partition")
}

// The metrics of the member as a whole.
var (
	memberInfo = describe("millstream_member_info", "Always 1; says whose metrics these are.", "cluster", "node")
	ready      = describe("millstream_member_ready", "1 while the member has started and is not closing.")
	topics     = describe("millstream_member_topics", "Topics of the cluster, internal ones included.")
	hosted     = describe("millstream_member_partitions",
		"Partitions with a replica on this member, the metadata log included.")
	serving  = describe("millstream_member_serving_partitions", "Partitions whose replica here is at work.")
	leading  = describe("millstream_member_leading_partitions", "Partitions that this member leads.")
	unlisted = describe("millstream_member_unlisted_partitions",
		"Partitions beyond the limit of those with series of their own.")
	hostedTasks = describe("millstream_member_tasks", "Stream tasks that are placed on this member.")
	jobs        = describe("millstream_member_waiting_jobs",
		"Disk reads and other blocking jobs that wait for a worker.")
	free = describe("millstream_store_free_bytes",
		"Bytes that may still be written before writes are refused.")
	fenced = describe("millstream_store_fenced", "1 once a storage error has stopped all writes.")
	lost   = describe("millstream_engine_lost", "1 where a class lost durable writes and takes no more.", "class")
	ranges = describe("millstream_store_damaged_ranges",
		"Ranges of damaged entries that readers found, over all partitions.")
)

// The metrics of each partition.
var (
	logStart  = perPartition("millstream_partition_log_start_offset", "First offset that can be read.")
	watermark = perPartition("millstream_partition_high_watermark_offset", "First offset that is not committed yet.")
	stable    = perPartition("millstream_partition_last_stable_offset",
		"First offset of an open transaction, or the high watermark.")
	logEnd   = perPartition("millstream_partition_log_end_offset", "Offset of the next record.")
	epoch    = perPartition("millstream_partition_leader_epoch", "Leader epoch as this replica knows it.")
	isLeader = perPartition("millstream_partition_leader", "1 where this member leads the partition.")

	entries = perPartition("millstream_partition_proposed_entries_total", "Log entries proposed by this leader.")
	batches = perPartition("millstream_partition_proposed_batches_total", "Record batches in proposed entries.")
	bytes   = perPartition("millstream_partition_proposed_bytes_total", "Bytes of record batches in proposed entries.")
	stalls  = perPartition("millstream_partition_intake_stalls_total",
		"Times that intake waited because too much was uncommitted.")
	leaders = perPartition("millstream_partition_leader_changes_total", "Leaders that this replica has seen come.")

	compactions = perPartition("millstream_partition_compactions_total",
		"Passes of log compaction; left out, like the next three, where there was none.")
	compactRead = perPartition("millstream_partition_compaction_read_bytes_total", "Bytes of entries before compaction.")
	compactLeft = perPartition("millstream_partition_compaction_left_bytes_total", "Bytes of entries after compaction.")
	dirty       = perPartition("millstream_partition_dirty_entries", "Entries that the last pass left to a later one.")

	readOnly = perPartition("millstream_partition_read_only", "1 where damage keeps a partition from taking writes.")
	damaged  = perPartition("millstream_partition_damaged_ranges",
		"Ranges of damaged entries that readers found; left out where there is none.")
)

// Describe implements prometheus.Collector.
func (c *snapshotCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		memberInfo, ready, topics, hosted, serving, leading, unlisted, hostedTasks, jobs, free, fenced, lost, ranges,
		logStart, watermark, stable, logEnd, epoch, isLeader, entries, batches, bytes, stalls, leaders, readOnly,
		damaged, compactions, compactRead, compactLeft, dirty, stateMemory, stateOpen, stateIdle,
	} {
		to <- d
	}
}

// sink takes the metrics of one scrape.
type sink chan<- prometheus.Metric

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sink) counter(d *prometheus.Desc, v uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Collect implements prometheus.Collector.
func (c *snapshotCollector) Collect(to chan<- prometheus.Metric) {
	s, out := c.ask(), sink(to)
	out.gauge(ready, truth(s.Ready))
	out.gauge(fenced, truth(s.Fenced))
	if !s.Started {
		return
	}
	out.gauge(memberInfo, 1, s.Cluster, strconv.FormatUint(uint64(s.Member), 10))
	out.gauge(topics, float64(s.Topics))
	out.gauge(hostedTasks, float64(s.Tasks))
	out.gauge(jobs, float64(s.WaitingJobs))
	out.gauge(free, float64(s.FreeBytes))
	out.gauge(ranges, float64(s.DamagedRanges))
	for _, class := range s.LostClasses {
		out.gauge(lost, 1, class)
	}
	if s.States != nil {
		c.state.collectStates(out, s.States)
	}
	var n struct{ all, serving, leading, unlisted int }
	meters, shared := c.partitions.now()
	for p := range s.Partitions {
		n.all++
		if p.Serving {
			n.serving++
		}
		if p.Serving && p.Leader {
			n.leading++
		}
		if m := meters[p.Replica]; m != nil {
			collectPartition(out, p, m)
		} else {
			n.unlisted++
		}
	}
	if shared != nil {
		collectCounts(out, shared, otherValue, "")
	}
	out.gauge(hosted, float64(n.all))
	out.gauge(serving, float64(n.serving))
	out.gauge(leading, float64(n.leading))
	out.gauge(unlisted, float64(n.unlisted))
}

func collectPartition(out sink, p Partition, m *partitionMeter) {
	number := strconv.Itoa(int(p.Partition))
	collectCounts(out, m, p.Topic, number)
	if p.DamagedRanges > 0 {
		out.gauge(damaged, float64(p.DamagedRanges), p.Topic, number)
	}
	if p.ReadOnly {
		out.gauge(readOnly, 1, p.Topic, number)
	}
	if !p.Serving {
		return
	}
	out.gauge(logStart, float64(p.LogStart), p.Topic, number)
	out.gauge(watermark, float64(p.HighWatermark), p.Topic, number)
	out.gauge(stable, float64(p.LastStable), p.Topic, number)
	out.gauge(logEnd, float64(p.LogEnd), p.Topic, number)
	out.gauge(epoch, float64(p.Epoch), p.Topic, number)
	out.gauge(isLeader, truth(p.Leader), p.Topic, number)
}

func collectCounts(out sink, m *partitionMeter, labels ...string) {
	out.counter(entries, m.entries.Load(), labels...)
	out.counter(batches, m.batches.Load(), labels...)
	out.counter(bytes, m.bytes.Load(), labels...)
	out.counter(stalls, m.stalls.Load(), labels...)
	out.counter(leaders, m.leaders.Load(), labels...)
	if n := m.compactions.Load(); n > 0 {
		out.counter(compactions, n, labels...)
		out.counter(compactRead, m.compactRead.Load(), labels...)
		out.counter(compactLeft, m.compactLeft.Load(), labels...)
		out.gauge(dirty, float64(m.dirty.Load()), labels...)
	}
}

// buildInfo says which build runs.
func buildInfo() prometheus.Collector {
	version, revision := "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "millstream_build_info", Help: "Always 1; says which build runs.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()},
	})
	g.Set(1)
	return g
}
