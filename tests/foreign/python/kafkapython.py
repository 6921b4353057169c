"""kafka-python in its roles."""
import sys
import time

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from roles import closed, must, owns, say, watch_stdin

TOPIC, GROUP = "admin-kafka-python", "group-kafka-python"


def send(p, topic, value):
    f = p.send(topic, value.encode(), key=b"key-" + value.encode(), headers=[("from", b"python")])
    return value, f


def told(sent):
    value, f = sent
    m = f.get(60)
    say("produced", m.partition, m.offset, value)


def produce(address, topic, codec, n):
    kind = None if codec == "none" else codec
    p = KafkaProducer(bootstrap_servers=address, compression_type=kind, enable_idempotence=True, linger_ms=20)
    for sent in [send(p, topic, f"{codec}-{i}") for i in range(int(n))]:
        told(sent)
    p.close()


def load(address, topic):
    watch_stdin()
    p = KafkaProducer(bootstrap_servers=address, enable_idempotence=True, retry_backoff_ms=50)
    i = 0
    while not closed.is_set():
        told(send(p, topic, f"load-{i}"))
        i += 1
        time.sleep(0.002)
    p.close()


def show(m):
    must(m.key == b"key-" + m.value, m)
    say("read", m.partition, m.offset, m.value.decode())


def consume(address, topic, n):
    c = KafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest", group_id=None)
    for _ in range(int(n)):
        show(next(c))
    c.close()


class Owned(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        owns([])

    def on_partitions_assigned(self, assigned):
        owns(tp.partition for tp in assigned)


def member(address, group, topic, _strategy):
    watch_stdin()
    c = KafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False, session_timeout_ms=6000,
                      auto_offset_reset="earliest", heartbeat_interval_ms=500, retry_backoff_ms=50)
    c.subscribe([topic], listener=Owned())
    while not closed.is_set():
        batches = poll(c)
        for records in batches.values():
            for m in records:
                show(m)
        if batches:
            commit(c, {tp: records[-1].offset + 1 for tp, records in batches.items()})
    c.close()


def poll(c):
    """The client raises a refused connection to whoever polls when its metadata is due; while a server restarts that says
    no more than that nobody is there yet."""
    try:
        return c.poll(timeout_ms=100)
    except KafkaConnectionError as e:
        print("poll:", repr(e), file=sys.stderr)
        closed.wait(0.05)
        return {}


def commit(c, nexts):
    """A group that moves on meanwhile refuses a commit; the records come again."""
    try:
        c.commit({tp: OffsetAndMetadata(at, "", -1) for tp, at in nexts.items()})
        for tp, at in nexts.items():
            say("committed", tp.partition, at)
    except KafkaError as e:
        print("commit:", repr(e), file=sys.stderr)


def admin(address):
    a = KafkaAdminClient(bootstrap_servers=address)
    spec = {TOPIC: {"num_partitions": 2, "replication_factor": 1, "configs": {"max.message.bytes": "65536"}}}
    a.create_topics(spec, wait_for_metadata=True)
    try:
        a.create_topics(spec)
        must(False, "created twice")
    except TopicAlreadyExistsError:
        say("ok create")
    a.create_partitions({TOPIC: 3})
    described = a.describe_topics([TOPIC])[0]
    must(len(described["partitions"]) == 3, described)
    must(len(a.describe_cluster()["brokers"]) == 1, "one member")
    say("ok describe")
    configs(a)
    offsets(a, address)
    groups(a, address)
    a.delete_topics([TOPIC])
    must(TOPIC not in [t["name"] if isinstance(t, dict) else t for t in a.list_topics()], "deleted")
    say("ok delete")
    a.close()


def configs(a):
    def read():
        return a.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])["topic"][TOPIC]

    must(read()["max.message.bytes"]["value"] == "65536", read())
    a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, configs={"retention.ms": "3600000"})])
    must(read()["retention.ms"]["value"] == "3600000", read())
    say("ok configs")


def offsets(a, address):
    now = int(time.time() * 1000)
    p = KafkaProducer(bootstrap_servers=address)
    for t in (now - 400, now - 100, now - 200, now - 300):
        p.send(TOPIC, b"v", key=b"k", partition=0, timestamp_ms=t).get(20)
    p.close()
    first = TopicPartition(TOPIC, 0)

    def at(spec):
        return a.list_partition_offsets({first: spec})[first].offset

    must(at(-2) == 0 and at(-1) == 4, "ends")
    must(at(-3) == 1 and at(now - 250) == 1, "by timestamp")
    a.delete_records({first: 2})
    must(at(-2) == 2, "delete records")
    say("ok offsets")


def groups(a, address):
    c = KafkaConsumer(TOPIC, bootstrap_servers=address, group_id=GROUP, auto_offset_reset="earliest")
    next(c)
    d = a.describe_groups([GROUP])[GROUP]
    must(len(d["members"]) == 1, d)
    c.close()
    must(any(g["group_id"] == GROUP for g in a.list_groups()), a.list_groups())
    first = TopicPartition(TOPIC, 0)
    a.alter_group_offsets(GROUP, {first: OffsetAndMetadata(3, "why", -1)})
    got = a.list_group_offsets(GROUP)[GROUP][first]
    must(got.offset == 3 and got.metadata == "why", got)
    a.delete_groups([GROUP])
    must(not any(g["group_id"] == GROUP for g in a.list_groups()), "deleted")
    say("ok groups")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
