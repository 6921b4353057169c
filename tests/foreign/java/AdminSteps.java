import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** What an administrator does with Admin; every step throws where the answer is not what it must be. */
final class AdminSteps {
    private static final String TOPIC = "admin-java";
    private static final String GROUP = "group-java";
    private static final TopicPartition FIRST = new TopicPartition(TOPIC, 0);

    static void run(String address) throws Exception {
        try (Admin admin = Admin.create(Client.base(address))) {
            topics(admin);
            configs(admin);
            offsets(admin, address);
            groups(admin, address);
            deletes(admin);
        }
    }

    private static <T> T get(KafkaFuture<T> f) throws Exception {
        return f.get(20, TimeUnit.SECONDS);
    }

    private static void must(boolean cond, Object what) {
        if (!cond) {
            throw new IllegalStateException(String.valueOf(what));
        }
    }

    private static void refused(Class<?> how, KafkaFuture<?> f) throws Exception {
        try {
            get(f);
            throw new IllegalStateException("not refused with " + how);
        } catch (ExecutionException e) {
            must(how.isInstance(e.getCause()), e.getCause());
        }
    }

    private static void topics(Admin admin) throws Exception {
        must(get(admin.describeCluster().nodes()).size() == 1, "one member");
        must(get(admin.describeCluster().controller()) != null, "a controller");
        get(admin.createTopics(List.of(
            new NewTopic(TOPIC, 2, (short) 1).configs(Map.of("max.message.bytes", "65536")),
            new NewTopic(TOPIC + "-defaults", Optional.empty(), Optional.empty()))).all());
        refused(TopicExistsException.class, admin.createTopics(List.of(new NewTopic(TOPIC, 2, (short) 1))).all());
        Client.say("ok", "create");
        must(get(admin.listTopics().names()).contains(TOPIC), "list");
        TopicDescription d = get(admin.describeTopics(List.of(TOPIC)).allTopicNames()).get(TOPIC);
        must(d.partitions().size() == 2 && d.partitions().get(0).isr().size() == 1, d);
        must(get(admin.describeTopics(org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(d.topicId())))
            .allTopicIds()).size() == 1, "describe by id");
        refused(UnknownTopicOrPartitionException.class, admin.describeTopics(List.of("none")).allTopicNames());
        get(admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(3))).all());
        must(get(admin.describeTopics(List.of(TOPIC)).allTopicNames()).get(TOPIC).partitions().size() == 3, "3");
        Client.say("ok", "describe");
    }

    private static void configs(Admin admin) throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        Map<ConfigResource, Config> all = get(admin.describeConfigs(List.of(topic)).all());
        must(all.get(topic).get("max.message.bytes").value().equals("65536"), all);
        must(all.get(topic).get("cleanup.policy").isDefault(), all);
        String id = get(admin.describeCluster().nodes()).iterator().next().idString();
        broker = new ConfigResource(ConfigResource.Type.BROKER, id);
        must(get(admin.describeConfigs(List.of(broker)).all()).get(broker).get("num.partitions") != null, "broker");
        get(admin.incrementalAlterConfigs(Map.of(topic, List.of(
            new AlterConfigOp(new ConfigEntry("retention.ms", "3600000"), AlterConfigOp.OpType.SET),
            new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND),
            new AlterConfigOp(new ConfigEntry("max.message.bytes", ""), AlterConfigOp.OpType.DELETE)))).all());
        Config now = get(admin.describeConfigs(List.of(topic)).all()).get(topic);
        must(now.get("retention.ms").value().equals("3600000"), now);
        must(now.get("cleanup.policy").value().contains("compact"), now);
        must(now.get("max.message.bytes").isDefault(), now);
        get(admin.incrementalAlterConfigs(Map.of(topic, List.of(
            new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.SUBTRACT)))).all());
        Client.say("ok", "configs");
    }

    private static long offset(Admin admin, OffsetSpec spec) throws Exception {
        ListOffsetsResultInfo info = get(admin.listOffsets(Map.of(FIRST, spec)).partitionResult(FIRST));
        return info.offset();
    }

    private static void offsets(Admin admin, String address) throws Exception {
        long now = System.currentTimeMillis();
        try (KafkaProducer<String, String> p = new KafkaProducer<>(Client.base(address))) {
            for (long t : new long[] {now - 400, now - 100, now - 200, now - 300}) {
                p.send(new ProducerRecord<>(TOPIC, 0, t, "k", "v")).get();
            }
        }
        must(offset(admin, OffsetSpec.earliest()) == 0, "earliest");
        must(offset(admin, OffsetSpec.latest()) == 4, "latest");
        must(offset(admin, OffsetSpec.maxTimestamp()) == 1, "max timestamp");
        must(offset(admin, OffsetSpec.forTimestamp(now - 250)) == 1, "for timestamp");
        must(offset(admin, OffsetSpec.forTimestamp(now + 60_000)) == -1, "behind all");
        get(admin.deleteRecords(Map.of(FIRST, RecordsToDelete.beforeOffset(2))).all());
        must(offset(admin, OffsetSpec.earliest()) == 2, "delete records");
        must(get(admin.describeLogDirs(get(admin.describeCluster().nodes()).stream().map(n -> n.id()).toList())
            .allDescriptions()).size() == 1, "log dirs");
        Client.say("ok", "offsets");
    }

    private static void groups(Admin admin, String address) throws Exception {
        must(get(admin.listConsumerGroupOffsets("none").partitionsToOffsetAndMetadata()).isEmpty(), "no group");
        java.util.Properties p = Client.base(address);
        p.put("group.id", GROUP);
        p.put("auto.offset.reset", "earliest");
        try (KafkaConsumer<String, String> c = new KafkaConsumer<>(p)) {
            c.subscribe(List.of(TOPIC));
            while (c.poll(Duration.ofMillis(100)).isEmpty()) {
                continue;
            }
            c.commitSync();
            ConsumerGroupDescription d =
                get(admin.describeConsumerGroups(List.of(GROUP)).describedGroups().get(GROUP));
            must(d.members().size() == 1 && d.members().iterator().next().assignment().topicPartitions().size() == 3, d);
        }
        Collection<?> listed = get(admin.listConsumerGroups().all());
        must(listed.toString().contains(GROUP), listed);
        must(get(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata()).get(FIRST).offset() == 4, "4");
        get(admin.alterConsumerGroupOffsets(GROUP, Map.of(FIRST, new OffsetAndMetadata(3, "why"))).all());
        OffsetAndMetadata m = get(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata()).get(FIRST);
        must(m.offset() == 3 && m.metadata().equals("why"), m);
        get(admin.deleteConsumerGroupOffsets(GROUP, Set.of(FIRST)).all());
        must(get(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata()).get(FIRST) == null, "gone");
        get(admin.deleteConsumerGroups(List.of(GROUP)).all());
        refused(GroupIdNotFoundException.class, admin.deleteConsumerGroups(List.of(GROUP)).all());
        Client.say("ok", "groups");
    }

    private static void deletes(Admin admin) throws Exception {
        get(admin.deleteTopics(List.of(TOPIC, TOPIC + "-defaults")).all());
        refused(UnknownTopicOrPartitionException.class, admin.deleteTopics(List.of(TOPIC)).all());
        Client.say("ok", "delete");
    }
}
