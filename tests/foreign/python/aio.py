"""aiokafka in its roles."""
import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CommitFailedError, KafkaError, TopicAlreadyExistsError

from roles import closed, must, owns, say, watch_stdin

TOPIC, GROUP = "admin-aiokafka", "group-aiokafka"


async def send(p, topic, value):
    m = await p.send_and_wait(topic, value.encode(), key=b"key-" + value.encode(), headers=[("from", b"python")])
    say("produced", m.partition, m.offset, value)


async def produce(address, topic, codec, n):
    kind = None if codec == "none" else codec
    p = AIOKafkaProducer(bootstrap_servers=address, compression_type=kind, enable_idempotence=True, linger_ms=20)
    async with p:
        await asyncio.gather(*(send(p, topic, f"{codec}-{i}") for i in range(int(n))))


async def load(address, topic):
    watch_stdin()
    p = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True, retry_backoff_ms=50)
    i = 0
    async with p:
        while not closed.is_set():
            await send(p, topic, f"load-{i}")
            i += 1
            await asyncio.sleep(0.002)


def show(m):
    must(m.key == b"key-" + m.value, m)
    say("read", m.partition, m.offset, m.value.decode())


async def consume(address, topic, n):
    async with AIOKafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest") as c:
        for _ in range(int(n)):
            show(await c.getone())


class Owned(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        owns([])

    def on_partitions_assigned(self, assigned):
        owns(tp.partition for tp in assigned)


async def member(address, group, topic, _strategy):
    watch_stdin()
    c = AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False, session_timeout_ms=6000,
                         auto_offset_reset="earliest", heartbeat_interval_ms=500, retry_backoff_ms=50)
    c.subscribe([topic], listener=Owned())
    async with c:
        while not closed.is_set():
            batches = await c.getmany(timeout_ms=100)
            for records in batches.values():
                for m in records:
                    show(m)
            if batches:
                await commit(c, {tp: records[-1].offset + 1 for tp, records in batches.items()})


async def commit(c, nexts):
    """A group that moves on meanwhile refuses a commit; the records come again."""
    try:
        await c.commit(nexts)
        for tp, at in nexts.items():
            say("committed", tp.partition, at)
    except (CommitFailedError, KafkaError) as e:
        print("commit:", repr(e), file=sys.stderr)


async def admin(address):
    a = AIOKafkaAdminClient(bootstrap_servers=address)
    await a.start()
    made = await a.create_topics([NewTopic(TOPIC, 2, 1, topic_configs={"max.message.bytes": "65536"})])
    must(made.topic_errors[0][1] == 0, made)
    again = await a.create_topics([NewTopic(TOPIC, 2, 1)])
    must(again.topic_errors[0][1] == TopicAlreadyExistsError.errno, again)
    say("ok create")
    must(TOPIC in await a.list_topics(), "list")
    await a.create_partitions({TOPIC: NewPartitions(3)})
    described = (await a.describe_topics([TOPIC]))[0]
    must(len(described["partitions"]) == 3, described)
    must(len((await a.describe_cluster())["brokers"]) == 1, "one member")
    say("ok describe")
    await configs(a)
    await offsets(a, address)
    await groups(a, address)
    await a.delete_topics([TOPIC])
    must(TOPIC not in await a.list_topics(), "deleted")
    say("ok delete")
    await a.close()


async def configs(a):
    async def read():
        got = await a.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])
        return {e[0]: e for e in got[0].resources[0][4]}

    must((await read())["max.message.bytes"][1] == "65536", "created with")
    await a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, configs={"retention.ms": "3600000"})])
    must((await read())["retention.ms"][1] == "3600000", "altered")
    say("ok configs")


async def offsets(a, address):
    now = int(time.time() * 1000)
    async with AIOKafkaProducer(bootstrap_servers=address) as p:
        for t in (now - 400, now - 300, now - 200, now - 100):
            await p.send_and_wait(TOPIC, b"v", key=b"k", partition=0, timestamp_ms=t)
    first = TopicPartition(TOPIC, 0)
    async with AIOKafkaConsumer(bootstrap_servers=address) as c:
        c.assign([first])
        must((await c.end_offsets([first]))[first] == 4, "ends")
        must((await c.offsets_for_times({first: now - 250}))[first].offset == 2, "for time")
        await a.delete_records({first: RecordsToDelete(before_offset=2)})
        must((await c.beginning_offsets([first]))[first] == 2, "delete records")
    say("ok offsets")


async def groups(a, address):
    async with AIOKafkaConsumer(TOPIC, bootstrap_servers=address, group_id=GROUP, auto_offset_reset="earliest") as c:
        await c.getone()
        d = (await a.describe_consumer_groups([GROUP]))[0].groups[0]
        must(d[0] == 0 and d[2] == "Stable" and len(d[5]) == 1, d)
    must(any(g[0] == GROUP for g in await a.list_consumer_groups()), "list groups")
    positions = await a.list_consumer_group_offsets(GROUP)
    must(TopicPartition(TOPIC, 0) in positions, positions)
    say("ok groups")


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
