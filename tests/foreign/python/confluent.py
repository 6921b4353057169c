"""confluent-kafka, which is librdkafka for Python, in its roles."""
import sys
import time

import confluent_kafka as ck
from confluent_kafka import admin as ca

from roles import closed, must, owns, say, watch_stdin

TOPIC = "admin-confluent"


def told(value):
    def done(err, m):
        if err:
            raise ck.KafkaException(err)
        say("produced", m.partition(), m.offset(), value)

    return done


def send(p, topic, value):
    p.produce(topic, value, "key-" + value, headers={"from": "python"}, on_delivery=told(value))


def produce(address, topic, codec, n):
    p = ck.Producer({"bootstrap.servers": address, "compression.type": codec, "enable.idempotence": True,
                     "linger.ms": 20})
    for i in range(int(n)):
        send(p, topic, f"{codec}-{i}")
    must(p.flush(30) == 0, "not all written")


def load(address, topic):
    watch_stdin()
    p = ck.Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 0})
    i = 0
    while not closed.is_set():
        send(p, topic, f"load-{i}")
        i += 1
        p.poll(0.002)
        time.sleep(0.002)
    must(p.flush(60) == 0, "not all written")


def show(m):
    must(m.key() == b"key-" + m.value(), m.key(), m.value())
    say("read", m.partition(), m.offset(), m.value().decode())


def consume(address, topic, n):
    c = ck.Consumer({"bootstrap.servers": address, "group.id": "unused", "enable.auto.commit": False})
    parts = c.list_topics(topic, 20).topics[topic].partitions
    c.assign([ck.TopicPartition(topic, p, ck.OFFSET_BEGINNING) for p in parts])
    for _ in range(int(n)):
        m = c.poll(20)
        must(m is not None and not m.error(), m and m.error())
        show(m)
    c.close()


def member(address, group, topic, strategy):
    watch_stdin()
    has = set()
    cooperative = strategy == "cooperative-sticky"

    def assigned(c, parts):
        has.update(p.partition for p in parts)
        (c.incremental_assign if cooperative else c.assign)(parts)
        owns(has)

    def revoked(c, parts):
        has.difference_update(p.partition for p in parts)
        owns(has)

    c = ck.Consumer({
        "bootstrap.servers": address, "group.id": group, "enable.auto.commit": False, "session.timeout.ms": 6000,
        "auto.offset.reset": "earliest", "heartbeat.interval.ms": 500, "partition.assignment.strategy": strategy,
    })
    c.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    while not closed.is_set():
        batch = [m for m in c.consume(100, 0.1) if not m.error()]
        for m in batch:
            show(m)
        if batch:
            commit(c, topic, batch)
    c.close()


def commit(c, topic, batch):
    """A group that moves on meanwhile refuses a commit; the records come again."""
    nexts = {m.partition(): m.offset() + 1 for m in batch}
    try:
        got = c.commit(offsets=[ck.TopicPartition(topic, p, o) for p, o in nexts.items()], asynchronous=False)
        for tp in got:
            if not tp.error:
                say("committed", tp.partition, tp.offset)
    except ck.KafkaException as e:
        print("commit:", e, file=sys.stderr)


def all_of(futures):
    return {k: f.result(20) for k, f in futures.items()}


def admin(address):
    a = ca.AdminClient({"bootstrap.servers": address})
    all_of(a.create_topics([ca.NewTopic(TOPIC, 2, 1, config={"max.message.bytes": "65536"})]))
    try:
        all_of(a.create_topics([ca.NewTopic(TOPIC, 2, 1)]))
        must(False, "created twice")
    except ck.KafkaException as e:
        must(e.args[0].code() == ck.KafkaError.TOPIC_ALREADY_EXISTS, e)
    say("ok create")
    all_of(a.create_partitions([ca.NewPartitions(TOPIC, 3)]))
    must(len(a.list_topics(TOPIC, 20).topics[TOPIC].partitions) == 3, "3 partitions")
    described = a.describe_topics(ck.TopicCollection([TOPIC]))[TOPIC].result(20)
    must(len(described.partitions) == 3, described)
    must(len(a.describe_cluster().result(20).nodes) == 1, "one member")
    say("ok describe")
    res = ca.ConfigResource(ca.ResourceType.TOPIC, TOPIC)
    got = all_of(a.describe_configs([res]))[res]
    must(got["max.message.bytes"].value == "65536" and got["cleanup.policy"].is_default, got)
    all_of(a.incremental_alter_configs([ca.ConfigResource(ca.ResourceType.TOPIC, TOPIC, incremental_configs=[
        ca.ConfigEntry("retention.ms", "3600000", incremental_operation=ca.AlterConfigOpType.SET)])]))
    must(all_of(a.describe_configs([res]))[res]["retention.ms"].value == "3600000", "altered")
    all_of(a.alter_configs([ca.ConfigResource(ca.ResourceType.TOPIC, TOPIC, set_config={"retention.ms": "7200000"})]))
    must(all_of(a.describe_configs([res]))[res]["max.message.bytes"].is_default, "replaced")
    say("ok configs")
    offsets(a, address)
    groups(a, address)
    all_of(a.delete_topics([TOPIC]))
    say("ok delete")


def offsets(a, address):
    p = ck.Producer({"bootstrap.servers": address})
    now = int(time.time() * 1000)
    for t in (now - 400, now - 100, now - 200, now - 300):
        p.produce(TOPIC, "v", "k", partition=0, timestamp=t)
        p.flush(20)
    first = ck.TopicPartition(TOPIC, 0)

    def at(spec):
        return a.list_offsets({first: spec})[first].result(20).offset

    must(at(ca.OffsetSpec.earliest()) == 0 and at(ca.OffsetSpec.latest()) == 4, "ends")
    must(at(ca.OffsetSpec.max_timestamp()) == 1, "max timestamp")
    must(at(ca.OffsetSpec.for_timestamp(now - 250)) == 1, "for timestamp")
    all_of(a.delete_records([ck.TopicPartition(TOPIC, 0, 2)]))
    must(at(ca.OffsetSpec.earliest()) == 2, "delete records")
    say("ok offsets")


def groups(a, address):
    c = ck.Consumer({"bootstrap.servers": address, "group.id": "group-confluent", "auto.offset.reset": "earliest"})
    c.subscribe([TOPIC])
    must(c.poll(20) is not None, "nothing read")
    d = a.describe_consumer_groups(["group-confluent"])["group-confluent"].result(20)
    must(len(d.members) == 1 and d.state == ck.ConsumerGroupState.STABLE, d)
    c.close()
    listed = a.list_consumer_groups().result(20)
    must(any(g.group_id == "group-confluent" for g in listed.valid), listed.valid)
    ask = [ck.ConsumerGroupTopicPartitions("group-confluent", [ck.TopicPartition(TOPIC, 0)])]
    all_of(a.alter_consumer_group_offsets(
        [ck.ConsumerGroupTopicPartitions("group-confluent", [ck.TopicPartition(TOPIC, 0, 3)])]))
    got = a.list_consumer_group_offsets(ask)["group-confluent"].result(20)
    must(got.topic_partitions[0].offset == 3, got.topic_partitions)
    all_of(a.delete_consumer_groups(["group-confluent"]))
    say("ok groups")


def newprotocol(address, topic):
    """newprotocol asks for the consumer protocol of KIP-848 and tells how the client is refused."""
    c = ck.Consumer({"bootstrap.servers": address, "group.id": "new-protocol", "group.protocol": "consumer",
                     "error_cb": lambda e: say("ok", "refused:", e.name(), e.str())})
    c.subscribe([topic])
    end = time.time() + 10
    while time.time() < end:
        m = c.poll(0.2)
        if m is not None and m.error():
            say("ok", "refused:", m.error().name(), m.error().str())
            break
    c.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
