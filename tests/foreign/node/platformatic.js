'use strict'
// @platformatic/kafka in its roles.

const { Admin, Consumer, Producer, stringDeserializers, stringSerializers, roundRobinAssigner } = require('@platformatic/kafka')
const { stdin, watchStdin, say, must, refused, pause, main } = require('./roles.js')

const TOPIC = 'admin-platformatic'
const GROUP = 'group-platformatic'

const base = (address) => ({ clientId: 'foreign', bootstrapBrokers: [address], retries: 100, retryDelay: 100 })

const consumerOf = (address, groupId) => new Consumer({
  ...base(address), groupId, deserializers: stringDeserializers, autocommit: false, sessionTimeout: 6000, heartbeatInterval: 500,
  rebalanceTimeout: 6000, maxWaitTime: 200,
})

const record = (topic, value, partition) => ({ topic, partition, key: 'key-' + value, value, headers: { from: 'node' } })

// send writes values to one partition: the answer names the offset of the first one.
async function send(producer, topic, partition, values, compression) {
  const r = await producer.send({ messages: values.map((v) => record(topic, v, partition)), compression, acks: -1 })
  must(r.offsets.length === 1, r)
  values.forEach((v, i) => say('produced', r.offsets[0].partition, r.offsets[0].offset + BigInt(i), v))
}

const producerOf = (address) => new Producer({ ...base(address), serializers: stringSerializers, idempotent: true })

async function produce(address, topic, codec, n) {
  const producer = producerOf(address)
  for (let i = 0; i < n; i += 50) {
    const values = Array.from({ length: Math.min(50, n - i) }, (_, k) => `${codec}-${i + k}`)
    await send(producer, topic, (i / 50) % 3, values, codec)
  }
  await producer.close()
}

async function load(address, topic) {
  watchStdin()
  const producer = producerOf(address)
  for (let i = 0; !stdin.closed; i++) {
    await send(producer, topic, i % 4, [`load-${i}`], 'none')
    await pause(2)
  }
  await producer.close()
}

function show(m) {
  must(m.key === 'key-' + m.value && m.headers.get('from') === 'node', m.key, m.value)
  say('read', m.partition, m.offset, m.value)
}

async function consume(address, topic, n) {
  const consumer = consumerOf(address, 'unused')
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest' })
  let seen = 0
  for await (const m of stream) {
    show(m)
    if (++seen === Number(n)) break
  }
  await consumer.close(true)
}

async function member(address, group, topic) {
  watchStdin()
  const consumer = consumerOf(address, group)
  consumer.on('consumer:group:join', (e) => {
    const mine = (e.assignments ?? []).filter((a) => a.topic === topic).flatMap((a) => a.partitions)
    say('owns', mine.join(','))
  })
  const stream = await consumer.consume({
    topics: [topic], mode: 'committed', fallbackMode: 'earliest', partitionAssigner: roundRobinAssigner,
  })
  stream.on('data', (m) => {
    show(m)
    m.commit().then(() => say('committed', m.partition, m.offset + 1n), (e) => console.error('commit:', e.message))
  })
  while (!stdin.closed) await pause(50)
  await pause(500) // for the commits on their way
  await consumer.close(true)
}

async function admin(address) {
  const a = new Admin(base(address))
  await a.createTopics({ topics: [TOPIC], partitions: 2, replicas: 1, configs: [{ name: 'max.message.bytes', value: '65536' }] })
  await refused(a.createTopics({ topics: [TOPIC], partitions: 2, replicas: 1 }), 'TOPIC_ALREADY_EXISTS')
  say('ok create')
  await a.createPartitions({ topics: [{ name: TOPIC, count: 3, assignments: null }] })
  must((await a.listTopics()).includes(TOPIC), 'list')
  const m = await a.metadata({ topics: [TOPIC] })
  must(m.brokers.size === 1 && m.topics.get(TOPIC).partitionsCount === 3, 'metadata')
  say('ok describe')
  await configs(a)
  await offsets(a, address)
  await groups(a, address)
  await a.deleteTopics({ topics: [TOPIC] })
  must(!(await a.listTopics()).includes(TOPIC), 'deleted')
  say('ok delete')
  await a.close()
}

async function configs(a) {
  const resource = { resourceType: 2, resourceName: TOPIC }
  const read = async () => {
    const [d] = await a.describeConfigs({ resources: [{ ...resource, configurationKeys: null }] })
    return Object.fromEntries(d.configs.map((c) => [c.name, c.value]))
  }
  must((await read())['max.message.bytes'] === '65536', await read())
  await a.incrementalAlterConfigs({
    resources: [{ ...resource, configs: [{ name: 'retention.ms', configOperation: 0, value: '3600000' }] }],
  })
  must((await read())['retention.ms'] === '3600000', await read())
  say('ok configs')
}

async function offsets(a, address) {
  const producer = producerOf(address)
  for (const v of ['a', 'b', 'c', 'd']) {
    await producer.send({ messages: [record(TOPIC, v, 0)], acks: -1 })
  }
  await producer.close()
  const at = async (timestamp) => {
    const [t] = await a.listOffsets({ topics: [{ name: TOPIC, partitions: [{ partitionIndex: 0, timestamp }] }] })
    return Number(t.partitions[0].offset)
  }
  must(await at(-2n) === 0 && await at(-1n) === 4, 'ends')
  await a.deleteRecords({ topics: [{ name: TOPIC, partitions: [{ partition: 0, offset: 2n }] }] })
  must(await at(-2n) === 2, 'delete records')
  say('ok offsets')
}

async function groups(a, address) {
  const consumer = consumerOf(address, GROUP)
  const stream = await consumer.consume({ topics: [TOPIC], mode: 'earliest' })
  for await (const m of stream) {
    await m.commit()
    break
  }
  const d = (await a.describeGroups({ groups: [GROUP] })).get(GROUP)
  must(d.members.size === 1, 'members')
  await consumer.close(true)
  must((await a.listGroups()).has(GROUP), 'list groups')
  await a.alterConsumerGroupOffsets({ groupId: GROUP, topics: [{ name: TOPIC, partitionOffsets: [{ partition: 0, offset: 3n }] }] })
  const [g] = await a.listConsumerGroupOffsets({ groups: [GROUP] })
  must(g.topics[0].partitions.find((p) => p.partitionIndex === 0).committedOffset === 3n, g)
  await a.deleteGroups({ groups: [GROUP] })
  must(!(await a.listGroups()).has(GROUP), 'deleted')
  say('ok groups')
}

main({ produce, load, consume, member, admin })
