import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;

/** The Java client of Kafka in its roles; doc.go of this folder's parent says what its lines mean. */
public final class Client {
    public static void main(String[] args) throws Exception {
        String role = args[0];
        String address = args[1];
        switch (role) {
            case "produce" -> produce(address, args[2], args[3], Integer.parseInt(args[4]));
            case "load" -> load(address, args[2]);
            case "consume" -> consume(address, args[2], Integer.parseInt(args[3]));
            case "member" -> member(address, args[2], args[3], args[4]);
            case "admin" -> AdminSteps.run(address);
            case "newprotocol" -> newProtocol(address, args[2]);
            case "streams" -> WordCount.run(address, args[2], args[3]);
            default -> throw new IllegalArgumentException(role);
        }
    }

    static synchronized void say(Object... words) {
        StringBuilder line = new StringBuilder();
        for (Object word : words) {
            line.append(line.isEmpty() ? "" : " ").append(word);
        }
        System.out.println(line);
        System.out.flush();
    }

    static Properties base(String address) {
        Properties p = new Properties();
        p.put("bootstrap.servers", address);
        p.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        p.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        p.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        p.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        return p;
    }

    /** closed is set when standard input has closed. */
    static AtomicBoolean closed() {
        AtomicBoolean closed = new AtomicBoolean();
        Thread t = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    continue;
                }
            } catch (java.io.IOException e) {
                say("error", e);
            }
            closed.set(true);
        });
        t.setDaemon(true);
        t.start();
        return closed;
    }

    static Future<RecordMetadata> send(KafkaProducer<String, String> producer, String topic, String value) {
        ProducerRecord<String, String> r = new ProducerRecord<>(topic, "key-" + value, value);
        r.headers().add("from", "java".getBytes());
        return producer.send(r, (m, e) -> {
            if (e != null) {
                throw new IllegalStateException(e);
            }
            say("produced", m.partition(), m.offset(), value);
        });
    }

    /** produce writes n records with the default, idempotent, producer. */
    static void produce(String address, String topic, String codec, int n) throws Exception {
        Properties p = base(address);
        p.put("compression.type", codec);
        p.put("linger.ms", "20");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p)) {
            List<Future<RecordMetadata>> all = new java.util.ArrayList<>();
            for (int i = 0; i < n; i++) {
                all.add(send(producer, topic, codec + "-" + i));
            }
            for (Future<RecordMetadata> f : all) {
                f.get();
            }
        }
    }

    static void load(String address, String topic) throws Exception {
        AtomicBoolean closed = closed();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(base(address))) {
            for (int i = 0; !closed.get(); i++) {
                send(producer, topic, "load-" + i).get();
                Thread.sleep(2);
            }
        }
    }

    static void consume(String address, String topic, int n) {
        Properties p = base(address);
        try (KafkaConsumer<String, String> c = new KafkaConsumer<>(p)) {
            List<TopicPartition> all = c.partitionsFor(topic).stream()
                .map(i -> new TopicPartition(topic, i.partition())).collect(Collectors.toList());
            c.assign(all);
            c.seekToBeginning(all);
            for (int seen = 0; seen < n; ) {
                seen += show(c.poll(Duration.ofMillis(200)));
            }
        }
    }

    static int show(ConsumerRecords<String, String> records) {
        for (ConsumerRecord<String, String> r : records) {
            if (!r.key().equals("key-" + r.value())) {
                throw new IllegalStateException("key " + r.key() + " of value " + r.value());
            }
            say("read", r.partition(), r.offset(), r.value());
        }
        return records.count();
    }

    static void member(String address, String group, String topic, String strategy) {
        AtomicBoolean closed = closed();
        Properties p = base(address);
        p.put("group.id", group);
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("session.timeout.ms", "6000");
        p.put("heartbeat.interval.ms", "500");
        p.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + strategy);
        try (KafkaConsumer<String, String> c = new KafkaConsumer<>(p)) {
            Owned owned = new Owned();
            c.subscribe(List.of(topic), owned);
            while (!closed.get()) {
                ConsumerRecords<String, String> records = c.poll(Duration.ofMillis(100));
                show(records);
                if (!records.isEmpty()) {
                    commit(c, records);
                }
            }
            c.commitSync(); // also what a rebalance kept from being committed
        }
    }

    /** commit says what was committed. A group that moves on meanwhile refuses it, and the records come again. */
    static void commit(KafkaConsumer<String, String> c, ConsumerRecords<String, String> records) {
        Map<TopicPartition, OffsetAndMetadata> next = new java.util.HashMap<>();
        for (ConsumerRecord<String, String> r : records) {
            next.put(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1));
        }
        try {
            c.commitSync(next);
            next.forEach((tp, at) -> say("committed", tp.partition(), at.offset()));
        } catch (CommitFailedException | RebalanceInProgressException | RetriableException e) {
            System.err.println("commit: " + e);
        }
    }

    /** newProtocol asks for the consumer protocol of KIP-848 and tells how the client is refused. */
    static void newProtocol(String address, String topic) {
        Properties p = base(address);
        p.put("group.id", "new-protocol");
        p.put("group.protocol", "consumer");
        try (KafkaConsumer<String, String> c = new KafkaConsumer<>(p)) {
            c.subscribe(List.of(topic));
            for (long end = System.currentTimeMillis() + 20_000; System.currentTimeMillis() < end; ) {
                c.poll(Duration.ofMillis(200));
            }
            say("error", "not refused");
        } catch (org.apache.kafka.common.errors.UnsupportedVersionException e) {
            say("ok", "refused:", e.getMessage());
        }
    }

    /** Owned tells which partitions the member has. */
    static final class Owned implements ConsumerRebalanceListener {
        private final TreeSet<Integer> has = new TreeSet<>();

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> more) {
            more.forEach(tp -> has.add(tp.partition()));
            tell();
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> gone) {
            gone.forEach(tp -> has.remove(tp.partition()));
            tell();
        }

        private void tell() {
            say("owns", has.stream().map(String::valueOf).collect(Collectors.joining(",")));
        }
    }
}
