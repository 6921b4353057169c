// Produces and consumes over gRPC with nothing but the .proto files: node grpc.js ADDRESS TOPIC
'use strict';
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const root = path.join(__dirname, '..', '..', '..');
const definition = loader.loadSync('proto/api/v1/records.proto', {
  includeDirs: [root], keepCase: true, defaults: true, longs: Number, enums: String, oneofs: true,
});
const api = grpc.loadPackageDefinition(definition).millstream.api.v1;
const [address, topic] = process.argv.slice(2);
const records = new api.Records(address, grpc.credentials.createInsecure());

function fail(err) {
  console.error(err);
  process.exit(1);
}

// consume reads n records from the start, giving credit back for what it has worked off.
function consume(n) {
  const stream = records.Fetch();
  stream.on('error', (err) => err.code === grpc.status.CANCELLED || fail(err));
  stream.on('data', (r) => {
    if (r.stopped) fail(r.stopped.error);
    if (!r.batches) return;
    for (const rec of r.batches.data.records) {
      console.log(`record ${rec.offset} ${rec.key} ${rec.value}`);
      if (--n === 0) return stream.cancel();
    }
    stream.write({ credit_bytes: r.batches.size });
  });
  stream.write({ start: {
    credit_bytes: 1 << 20,
    partitions: [{ topic, partition: 0, from: { special: 'SPECIAL_EARLIEST' } }],
  } });
}

// produce sends requests of one record each without waiting in between; answers carry the ids of their requests.
function produce(n, then) {
  const stream = records.Produce();
  let left = n;
  stream.on('error', fail);
  stream.on('data', (a) => {
    const err = a.error || a.appended[0].error;
    if (err) fail(err);
    console.log(`written ${a.id} ${a.appended[0].base_offset}`);
    if (--left === 0) then();
  });
  for (let id = 0; id < n; id++) {
    stream.write({ id, topic, partition: 0, records: { records: [{ key: Buffer.from(`k${id}`), value: Buffer.from(`v${id}`) }] } });
  }
  stream.end();
}

records.Publish({ topic: 'no such topic', records: [{ value: Buffer.from('x') }] }, (err) => {
  console.log(`refused ${grpc.status[err.code]}`);
  produce(5, () => consume(5));
});
