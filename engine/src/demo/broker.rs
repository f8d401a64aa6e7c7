//! The embedded broker: librdkafka's mock cluster, and a producer that writes the shop's messages to it.

use std::{sync::Arc, time::Duration};

use foreshock_core::{
    config::Config,
    types::{Source, stable_hash},
};
use foreshock_shop::{CHANGES_TOPIC, LOGS_TOPIC, METRICS_TOPIC, Produced, SPANS_TOPIC};
use rdkafka::{
    ClientConfig,
    config::FromClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext},
};

/// Topics of the shop, with their partitions.
const TOPICS: [(&str, i32); 4] = [(METRICS_TOPIC, 2), (LOGS_TOPIC, 1), (SPANS_TOPIC, 1), (CHANGES_TOPIC, 1)];

/// A broker in this process.
pub(super) struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
    /// Next offset per partition written to.
    ends: std::collections::BTreeMap<Source, i64>,
}

impl Broker {
    /// Starts it, with every topic that the shop and the engine need.
    pub(super) fn start(config: &mut Config) -> Result<Broker, KafkaError> {
        let cluster = MockCluster::new(1)?;
        let outputs = &config.outputs;
        let own = [&outputs.anomalies, &outputs.incidents, &outputs.signals, &outputs.dead_letter];
        let own =
            own.into_iter().chain([&outputs.journal, &outputs.decisions]).map(|name| (name.as_str(), 1));
        for (name, partitions) in TOPICS.into_iter().chain(own) {
            cluster.create_topic(name, partitions, 1)?;
        }
        config.kafka.brokers = vec![cluster.bootstrap_servers()];
        config.outputs.create = false;
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", cluster.bootstrap_servers());
        client.set("linger.ms", "0").set("compression.type", "none");
        let producer = BaseProducer::from_config(&client)?;
        Ok(Broker { cluster, producer, ends: std::collections::BTreeMap::new() })
    }

    /// The address of the broker.
    pub(super) fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Writes messages, in order, each to the partition of its key.
    pub(super) fn write(&mut self, messages: &[Produced]) -> Result<(), KafkaError> {
        for message in messages {
            let partitions =
                TOPICS.iter().find(|(name, _)| *name == message.topic).map_or(1, |(_, count)| *count);
            let key = message.key.as_deref().unwrap_or_default();
            let partition = (stable_hash(key) % partitions as u64) as i32;
            let headers = message.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
            let mut record = BaseRecord::to(message.topic)
                .partition(partition)
                .key(key)
                .payload(&message.payload)
                .timestamp(message.time_ms)
                .headers(headers);
            loop {
                match self.producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                        record = refused;
                        self.producer.poll(Duration::from_millis(10));
                    }
                    Err((error, _)) => return Err(error),
                }
            }
            let source = Source { topic: Arc::from(message.topic), partition };
            *self.ends.entry(source).or_insert(0) += 1;
        }
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// The next offset of each partition that was written to.
    pub(super) fn ends(&self) -> &std::collections::BTreeMap<Source, i64> {
        &self.ends
    }
}
