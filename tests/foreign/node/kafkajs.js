'use strict'
// kafkajs in its roles.

const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, PartitionAssigners, logLevel } = require('kafkajs')
const SnappyCodec = require('kafkajs-snappy')
const LZ4Codec = require('kafkajs-lz4')
const { stdin, watchStdin, say, must, refused, pause, main } = require('./roles.js')

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec
CompressionCodecs[CompressionTypes.LZ4] = new LZ4Codec().codec

const TOPIC = 'admin-kafkajs'
const GROUP = 'group-kafkajs'

const open = (address) => new Kafka({
  clientId: 'foreign', brokers: [address], logLevel: logLevel.ERROR, retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 50 },
})

const record = (value) => ({ key: 'key-' + value, value, headers: { from: 'node' } })

function told(answer, values) {
  must(answer.length === 1 && answer[0].errorCode === 0, answer)
  values.forEach((v, i) => say('produced', answer[0].partition, Number(answer[0].baseOffset) + i, v))
}

async function send(producer, topic, partition, values, compression) {
  const messages = values.map((v) => ({ ...record(v), partition }))
  told(await producer.send({ topic, messages, compression, acks: -1 }), values)
}

async function produce(address, topic, codec, n) {
  const compression = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4 }[codec]
  const producer = open(address).producer({ idempotent: true })
  await producer.connect()
  for (let i = 0; i < n; i += 50) {
    const values = Array.from({ length: Math.min(50, n - i) }, (_, k) => `${codec}-${i + k}`)
    await send(producer, topic, (i / 50) % 3, values, compression)
  }
  await producer.disconnect()
}

async function load(address, topic) {
  watchStdin()
  const producer = open(address).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let i = 0; !stdin.closed; i++) {
    await send(producer, topic, i % 4, [`load-${i}`], CompressionTypes.None)
    await pause(2)
  }
  await producer.disconnect()
}

function show(partition, m) {
  const value = m.value.toString()
  must(m.key.toString() === 'key-' + value && m.headers.from, m)
  say('read', partition, m.offset, value)
}

async function consume(address, topic, n) {
  const consumer = open(address).consumer({ groupId: 'unused' })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  let seen = 0
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, (e) => reject(e.payload.error))
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        show(partition, message)
        if (++seen === Number(n)) resolve()
      },
    })
  })
  await consumer.disconnect()
}

async function member(address, group, topic) {
  watchStdin()
  const consumer = open(address).consumer({
    groupId: group, sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 10000, maxWaitTimeInMs: 200,
    partitionAssigners: [PartitionAssigners.roundRobin],
  })
  consumer.on(consumer.events.GROUP_JOIN, (e) => say('owns', (e.payload.memberAssignment[topic] ?? []).join(',')))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
      for (const m of batch.messages) {
        show(batch.partition, m)
        resolveOffset(m.offset)
      }
      const next = String(Number(batch.messages.at(-1).offset) + 1)
      await consumer.commitOffsets([{ topic, partition: batch.partition, offset: next }])
      say('committed', batch.partition, next)
      await heartbeat()
    },
  })
  while (!stdin.closed) await pause(50)
  await consumer.disconnect()
}

async function admin(address) {
  const kafka = open(address)
  const a = kafka.admin()
  await a.connect()
  await topics(a)
  await configs(a)
  await offsets(a, kafka)
  await groups(a, kafka)
  await a.deleteTopics({ topics: [TOPIC] })
  must(!(await a.listTopics()).includes(TOPIC), 'deleted')
  say('ok delete')
  await a.disconnect()
}

async function topics(a) {
  const configEntries = [{ name: 'max.message.bytes', value: '65536' }]
  const spec = { topic: TOPIC, numPartitions: 2, replicationFactor: 1, configEntries }
  must(await a.createTopics({ topics: [spec], waitForLeaders: true }), 'created')
  must(await a.createTopics({ topics: [spec] }) === false, 'created twice')
  say('ok create')
  must((await a.listTopics()).includes(TOPIC), 'list')
  await a.createPartitions({ topicPartitions: [{ topic: TOPIC, count: 3 }] })
  const { topics: [described] } = await a.fetchTopicMetadata({ topics: [TOPIC] })
  must(described.partitions.length === 3 && described.partitions[0].isr.length === 1, described)
  const cluster = await a.describeCluster()
  must(cluster.brokers.length === 1 && cluster.clusterId, cluster)
  say('ok describe')
}

async function configs(a) {
  const resource = { type: ConfigResourceTypes.TOPIC, name: TOPIC }
  const read = async () => Object.fromEntries((await a.describeConfigs({ resources: [resource], includeSynonyms: true }))
    .resources[0].configEntries.map((e) => [e.configName, e]))
  let now = await read()
  must(now['max.message.bytes'].configValue === '65536' && now['cleanup.policy'].isDefault, now)
  await a.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '3600000' }] }] })
  now = await read()
  must(now['retention.ms'].configValue === '3600000' && now['max.message.bytes'].isDefault, now)
  say('ok configs')
}

async function offsets(a, kafka) {
  const p = kafka.producer()
  await p.connect()
  const now = Date.now()
  for (const t of [now - 400, now - 300, now - 200, now - 100]) {
    await p.send({ topic: TOPIC, messages: [{ key: 'k', value: 'v', partition: 0, timestamp: String(t) }] })
  }
  await p.disconnect()
  const first = (list) => list.find((o) => o.partition === 0)
  must(first(await a.fetchTopicOffsets(TOPIC)).high === '4', 'ends')
  must(first(await a.fetchTopicOffsetsByTimestamp(TOPIC, now - 250)).offset === '2', 'by timestamp')
  await a.deleteTopicRecords({ topic: TOPIC, partitions: [{ partition: 0, offset: '2' }] })
  must(first(await a.fetchTopicOffsets(TOPIC)).low === '2', 'delete records')
  say('ok offsets')
}

async function groups(a, kafka) {
  const consumer = kafka.consumer({ groupId: GROUP })
  await consumer.connect()
  await consumer.subscribe({ topics: [TOPIC], fromBeginning: true })
  await new Promise((resolve) => consumer.run({ eachMessage: async () => resolve() }))
  const { groups: [d] } = await a.describeGroups([GROUP])
  must(d.state === 'Stable' && d.members.length === 1, d)
  await refused(a.deleteGroups([GROUP]), 'NON_EMPTY_GROUP')
  await consumer.disconnect()
  must((await a.listGroups()).groups.some((g) => g.groupId === GROUP), 'list groups')
  await a.setOffsets({ groupId: GROUP, topic: TOPIC, partitions: [{ partition: 0, offset: '3' }] })
  const [got] = await a.fetchOffsets({ groupId: GROUP, topics: [TOPIC] })
  must(got.partitions.find((p) => p.partition === 0).offset === '3', got)
  await reset(a, kafka)
  await a.deleteGroups([GROUP])
  must(!(await a.listGroups()).groups.some((g) => g.groupId === GROUP), 'deleted')
  say('ok groups')
}

// reset stores -2 or -1, which the members take for "none, from the start" and "none, from the end".
async function reset(a, kafka) {
  for (const [earliest, offset] of [[false, '-1'], [true, '-2']]) {
    await a.resetOffsets({ groupId: GROUP, topic: TOPIC, earliest })
    const [got] = await a.fetchOffsets({ groupId: GROUP, topics: [TOPIC] })
    must(got.partitions.every((p) => p.offset === offset), got)
  }
  const consumer = kafka.consumer({ groupId: GROUP })
  await consumer.connect()
  await consumer.subscribe({ topics: [TOPIC], fromBeginning: true })
  const first = await new Promise((resolve) => consumer.run({ eachMessage: async ({ message }) => resolve(message.offset) }))
  await consumer.disconnect()
  must(first === '2', first) // two records are deleted
}

main({ produce, load, consume, member, admin })
