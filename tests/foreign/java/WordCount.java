import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;

/** Kafka Streams as its users begin: words of a topic are counted in a store with a changelog. */
final class WordCount {
    static void run(String address, String topic, String dir) throws Exception {
        AtomicBoolean closed = Client.closed();
        Properties p = new Properties();
        p.put("application.id", "words");
        p.put("bootstrap.servers", address);
        p.put("state.dir", dir);
        p.put("commit.interval.ms", "200");
        p.put("default.key.serde", Serdes.StringSerde.class.getName());
        p.put("default.value.serde", Serdes.StringSerde.class.getName());
        p.put("auto.offset.reset", "earliest");
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> lines = b.stream(topic);
        lines.flatMapValues(v -> Arrays.asList(v.split("-"))).map((k, w) -> KeyValue.pair(w, w))
            .groupByKey().count().toStream().mapValues(String::valueOf)
            .to(topic + "-counts", Produced.with(Serdes.String(), Serdes.String()));
        AtomicBoolean failed = new AtomicBoolean();
        try (KafkaStreams streams = new KafkaStreams(b.build(), p)) {
            streams.setUncaughtExceptionHandler(e -> {
                e.printStackTrace();
                failed.set(true);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.setStateListener((now, before) -> Client.say("state", now));
            streams.start();
            while (!closed.get() && !failed.get()) {
                Thread.sleep(20);
            }
        }
        System.exit(failed.get() ? 1 : 0);
    }
}
