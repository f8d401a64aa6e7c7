//! OTLP metrics into rows (opentelemetry-proto `metrics/v1`), straight from the bytes.
//!
//! A stream that is known is found by its bytes; only a new one has its attributes decoded and its names made.

use std::{ops::RangeInclusive, sync::Arc};

use opentelemetry_proto::tonic::{common::v1::KeyValue, metrics::v1::AggregationTemporality};
use prost::Message;

use super::{
    Destination, Format, Refusal, Told,
    identity::{Attributes, Identity, Owner, Raw, Streams, find},
    malformed,
    protobuf::{Field, Fields, WireError, message, messages},
    rows::{HistogramRow, Rows},
};
use crate::types::{Entity, EntityKind, MAX_NAME, Record, RejectReason, SeriesDef, StreamKind, cut};

/// Flag of a point that says "no value was recorded".
const NO_RECORDED_VALUE: u64 = 1;
/// Scales of exponential histograms (OpenTelemetry, metrics SDK, "base2 exponential bucket histogram aggregation": `MinScale`, `MaxScale`).
const SCALES: RangeInclusive<i32> = -10..=20;
/// Most quantiles of a summary's point: every percentile, and as many again.
const MAX_QUANTILES: usize = 200;

/// Memory for the buckets of the point at hand.
#[derive(Debug, Default)]
pub(in super::super) struct Buckets {
    bounds: Vec<f64>,
    counts: Vec<u64>,
}

/// An `ExportMetricsServiceRequest`.
pub(super) struct OtlpMetrics;

impl Format for OtlpMetrics {
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal> {
        push(&record.payload, to).map(|()| Told::default())
    }
}

/// Takes a request.
pub(super) fn push(request: &[u8], to: &mut Destination<'_>) -> Result<(), Refusal> {
    let Destination { streams, buckets, rows, .. } = to;
    for group in messages(request, 1) {
        let group = group.map_err(malformed)?;
        let mut owner = Owner::of(message(group, 1).map_err(malformed)?);
        for scope in messages(group, 2) {
            for metric in messages(scope.map_err(malformed)?, 2) {
                let metric = Metric::read(metric.map_err(malformed)?).map_err(malformed)?;
                // A name may be as long as the record: it is hashed once, not once per point.
                let raw = owner.raw().bytes(metric.name);
                Writer { owner: &mut owner, metric, raw, named: None, streams, buckets, rows }.push()?;
            }
        }
    }
    Ok(())
}

/// A `Metric`: its name, and the field and bytes of its data.
#[derive(Clone, Copy)]
struct Metric<'a> {
    name: &'a [u8],
    data: Option<(u32, &'a [u8])>,
}

impl<'a> Metric<'a> {
    fn read(bytes: &'a [u8]) -> Result<Metric<'a>, WireError> {
        let mut metric = Metric { name: &[], data: None };
        for field in Fields::of(bytes) {
            let field = field?;
            match field.number {
                1 => metric.name = field.bytes()?,
                5 | 7 | 9 | 10 | 11 => metric.data = Some((field.number, field.bytes()?)),
                _ => {}
            }
        }
        Ok(metric)
    }
}

/// Where a kind of point has what every one has: the numbers of the fields that differ.
#[derive(Clone, Copy)]
struct Places {
    attributes: u32,
    flags: u32,
}

/// Of numbers, and of summaries.
const NUMBER: Places = Places { attributes: 7, flags: 8 };
const HISTOGRAM: Places = Places { attributes: 9, flags: 10 };
const EXPONENTIAL: Places = Places { attributes: 1, flags: 10 };

/// What is the same for every kind of point.
struct Head<'a> {
    /// The point's bytes, and the field of its attributes in them.
    point: &'a [u8],
    attributes: u32,
    /// Of resource, metric and attributes.
    raw: Raw,
    time: u64,
    start: u64,
    /// Its attributes, decoded once something new is found under them.
    decoded: Option<(Arc<Entity>, Attributes)>,
}

/// `aggregation_temporality` and, of a sum, `is_monotonic`, which come after the points or before them.
fn aggregation(data: &[u8], is_sum: bool) -> Result<(bool, bool), WireError> {
    let (mut is_delta, mut is_monotonic) = (false, false);
    for field in Fields::of(data) {
        let field = field?;
        match field.number {
            2 => is_delta = field.int32()? == AggregationTemporality::Delta as i32,
            3 if is_sum => is_monotonic = field.varint()? != 0,
            _ => {}
        }
    }
    Ok((is_delta, is_monotonic))
}

/// A time that is missing or beyond what fits: the record cannot be placed.
fn time(unix_nano: u64) -> Result<i64, Refusal> {
    match i64::try_from(unix_nano) {
        Ok(time_ns) if time_ns > 0 => Ok(time_ns),
        _ => Err((RejectReason::BadTime, format!("a data point's time is {unix_nano} ns"))),
    }
}

fn start(unix_nano: u64) -> i64 {
    i64::try_from(unix_nano).unwrap_or(0)
}

struct Writer<'a, 'b> {
    owner: &'b mut Owner<'a>,
    metric: Metric<'a>,
    /// Of resource and metric.
    raw: Raw,
    /// The same as an identity, and the name; made once something new is found under them.
    named: Option<(Identity, &'a str)>,
    streams: &'b mut Streams,
    buckets: &'b mut Buckets,
    rows: &'b mut Rows,
}

impl<'a> Writer<'a, '_> {
    fn push(&mut self) -> Result<(), Refusal> {
        let Some((field, data)) = self.metric.data else { return Ok(()) };
        let (is_delta, is_monotonic) = match field {
            7 | 9 | 10 => aggregation(data, field == 7).map_err(malformed)?,
            _ => (false, false),
        };
        let numbers = match (is_delta, is_monotonic) {
            _ if field == 5 => StreamKind::Gauge,
            (true, _) => StreamKind::DeltaCounter,
            (false, true) => StreamKind::CumulativeCounter,
            (false, false) => StreamKind::Gauge,
        };
        let histograms = if is_delta { StreamKind::DeltaHistogram } else { StreamKind::CumulativeHistogram };
        for point in messages(data, 1) {
            let point = point.map_err(malformed)?;
            match field {
                5 | 7 => self.number(point, &numbers)?,
                9 => self.histogram(point, &histograms)?,
                10 => self.exponential(point, &histograms)?,
                _ => self.summary(point)?,
            }
        }
        Ok(())
    }

    /// Reads a point: what every kind has, and by `own` what this one has. `None` where it says that nothing was recorded.
    fn point(
        &self,
        point: &'a [u8],
        places: Places,
        mut own: impl FnMut(Field<'a>) -> Result<(), WireError>,
    ) -> Result<Option<Head<'a>>, Refusal> {
        let Places { attributes, flags } = places;
        let mut head = Head { point, attributes, raw: self.raw, time: 0, start: 0, decoded: None };
        let mut is_recorded = true;
        let mut read = || -> Result<(), WireError> {
            for field in Fields::of(point) {
                let field = field?;
                match field.number {
                    2 => head.start = field.fixed64()?,
                    3 => head.time = field.fixed64()?,
                    number if number == attributes => head.raw = head.raw.bytes(field.bytes()?),
                    number if number == flags => is_recorded = field.varint()? & NO_RECORDED_VALUE == 0,
                    _ => own(field)?,
                }
            }
            Ok(())
        };
        read().map_err(malformed)?;
        Ok(is_recorded.then_some(head))
    }

    fn number(&mut self, point: &'a [u8], kind: &StreamKind) -> Result<(), Refusal> {
        let suffix = if *kind == StreamKind::Gauge { "" } else { ":rate" };
        let mut value = f64::NAN;
        let head = self.point(point, NUMBER, |field| {
            match field.number {
                4 => value = field.double()?,
                6 => value = field.fixed64()? as i64 as f64,
                _ => {}
            }
            Ok(())
        })?;
        let Some(mut head) = head.filter(|_| value.is_finite()) else { return Ok(()) };
        let time_ns = time(head.time)?;
        let stream = self.stream(&mut head, kind, suffix)?;
        self.rows.number(time_ns, stream, start(head.start), value);
        Ok(())
    }

    fn histogram(&mut self, point: &'a [u8], kind: &StreamKind) -> Result<(), Refusal> {
        let mut counted = Counted { count: 0, sum: f64::NAN, scale: None, first: 0, zero_count: 0 };
        let mut buckets = std::mem::take(self.buckets);
        buckets.bounds.clear();
        buckets.counts.clear();
        let head = self.point(point, HISTOGRAM, |field| {
            match field.number {
                4 => counted.count = field.fixed64()?,
                5 => counted.sum = field.double()?,
                6 => field.repeated_fixed64(std::convert::identity, &mut buckets.counts)?,
                7 => field.repeated_fixed64(f64::from_bits, &mut buckets.bounds)?,
                _ => {}
            }
            Ok(())
        });
        *self.buckets = buckets;
        head?.map_or(Ok(()), |head| self.bucketed(head, kind, counted))
    }

    fn exponential(&mut self, point: &'a [u8], kind: &StreamKind) -> Result<(), Refusal> {
        let mut scale = 0;
        let mut counted = Counted { count: 0, sum: f64::NAN, scale: None, first: 0, zero_count: 0 };
        let (mut positive, mut negative): (&[u8], &[u8]) = (&[], &[]);
        let head = self.point(point, EXPONENTIAL, |field| {
            match field.number {
                4 => counted.count = field.fixed64()?,
                5 => counted.sum = field.double()?,
                6 => scale = field.sint32()?,
                7 => counted.zero_count = field.fixed64()?,
                8 => positive = field.bytes()?,
                9 => negative = field.bytes()?,
                _ => {}
            }
            Ok(())
        })?;
        let Some(head) = head else { return Ok(()) };
        if !SCALES.contains(&scale) {
            let (from, to) = (SCALES.start(), SCALES.end());
            return Err(malformed(format!(
                "an exponential histogram's scale is {scale}: give {from} to {to}"
            )));
        }
        let Buckets { bounds, counts } = &mut *self.buckets;
        bounds.clear();
        // Observations below zero are counted as near it.
        read_side(negative, counts).map_err(malformed)?;
        counted.zero_count = counts.iter().fold(counted.zero_count, |sum, count| sum.wrapping_add(*count));
        counted.first = read_side(positive, counts).map_err(malformed)?;
        counted.scale = Some(scale);
        self.bucketed(head, kind, counted)
    }

    fn bucketed(&mut self, mut head: Head<'a>, kind: &StreamKind, counted: Counted) -> Result<(), Refusal> {
        let time_ns = time(head.time)?;
        let stream = self.stream(&mut head, kind, "")?;
        let Counted { count, sum, scale, first, zero_count } = counted;
        let Buckets { bounds, counts } = &*self.buckets;
        let start_ns = start(head.start);
        let row =
            HistogramRow { time_ns, stream, start_ns, count, sum, scale, first, zero_count, bounds, counts };
        self.rows.histogram(&row);
        Ok(())
    }

    /// A gauge per quantile, and the count as a counter.
    fn summary(&mut self, point: &'a [u8]) -> Result<(), Refusal> {
        let mut count = 0;
        let head = self.point(point, NUMBER, |field| {
            if field.number == 4 {
                count = field.fixed64()?;
            }
            Ok(())
        })?;
        let Some(mut head) = head else { return Ok(()) };
        let time_ns = time(head.time)?;
        for (place, quantile) in messages(point, 6).enumerate() {
            if place == MAX_QUANTILES {
                return Err(malformed(format!("a summary has more than {MAX_QUANTILES} quantiles")));
            }
            let (share, value) = read_quantile(quantile.map_err(malformed)?).map_err(malformed)?;
            let suffix = format!(":p{}", share * 100.0);
            let stream = self.stream(&mut head, &StreamKind::Gauge, &suffix)?;
            self.rows.number(time_ns, stream, 0, value);
        }
        let stream = self.stream(&mut head, &StreamKind::CumulativeCounter, ":rate")?;
        self.rows.number(time_ns, stream, start(head.start), count as f64);
        Ok(())
    }

    /// The stream of a point.
    fn stream(&mut self, head: &mut Head<'a>, kind: &StreamKind, suffix: &str) -> Result<u32, Refusal> {
        let raw = head.raw.bytes(suffix.as_bytes()).bytes(kind.name().as_bytes());
        if let Some(stream) = self.streams.known(raw) {
            return Ok(stream);
        }
        let (identity, name) = self.named()?;
        if head.decoded.is_none() {
            head.decoded = Some(self.decode(head, name)?);
        }
        let (subject, attributes) = head.decoded.as_ref().expect("it was decoded just now");
        let identity = identity.text(suffix).text(kind.name()).joined(attributes);
        if subject.kind == EntityKind::Model && !self.streams.has(&identity) {
            let (owner, _) = self.owner.decoded(self.streams)?;
            let owner = owner.clone();
            self.streams.is_part_of(subject.clone(), &owner);
        }
        Ok(self.streams.learn(raw, &identity, || {
            let measure = format!("{}{suffix}", cut(name, MAX_NAME));
            (SeriesDef::new(subject.clone(), measure, attributes.kept.clone()), kind.clone())
        }))
    }

    /// The identity of resource and metric, and the metric's name.
    fn named(&mut self) -> Result<(Identity, &'a str), Refusal> {
        if let Some(named) = self.named {
            return Ok(named);
        }
        let name = std::str::from_utf8(self.metric.name).map_err(malformed)?;
        let (_, identity) = self.owner.decoded(self.streams)?;
        Ok(*self.named.insert((identity.text(name), name)))
    }

    /// Whom a point is about, and its attributes.
    fn decode(&mut self, head: &Head<'a>, name: &str) -> Result<(Arc<Entity>, Attributes), Refusal> {
        let attributes = messages(head.point, head.attributes)
            .map(|bytes| KeyValue::decode(bytes.map_err(malformed)?).map_err(malformed))
            .collect::<Result<Vec<KeyValue>, Refusal>>()?;
        let (owner, _) = self.owner.decoded(self.streams)?;
        Ok((subject(owner, name, &attributes), Attributes::of(&attributes)))
    }
}

/// What a histogram's point holds beside its buckets.
#[derive(Clone, Copy)]
struct Counted {
    count: u64,
    sum: f64,
    scale: Option<i32>,
    first: i32,
    zero_count: u64,
}

/// A quantile of a summary: which one, 0..1, and its value.
fn read_quantile(bytes: &[u8]) -> Result<(f64, f64), WireError> {
    let (mut share, mut value) = (0.0, 0.0);
    for field in Fields::of(bytes) {
        let field = field?;
        match field.number {
            1 => share = field.double()?,
            2 => value = field.double()?,
            _ => {}
        }
    }
    Ok((share, value))
}

/// One side of an exponential histogram: its counts, and the index of the first.
fn read_side(side: &[u8], counts: &mut Vec<u64>) -> Result<i32, WireError> {
    counts.clear();
    let mut first = 0;
    for field in Fields::of(side) {
        let field = field?;
        match field.number {
            1 => first = field.sint32()?,
            2 => field.repeated_varint(counts)?,
            _ => {}
        }
    }
    Ok(first)
}

/// Metrics of a model describe the model, not the service that runs it.
fn subject(owner: &Arc<Entity>, metric: &str, attributes: &[KeyValue]) -> Arc<Entity> {
    match find(attributes, &["model.name"]) {
        Some(model) if metric.starts_with("model.") => Arc::new(Entity::new(EntityKind::Model, model)),
        _ => owner.clone(),
    }
}
