//! How far the kernels are from this machine's memory, how cost grows with series and threads, and how fast a million series go to
//! disk and back: `cargo run --release -p foreshock-benches --bin roofline [-- FOLDER]`, best on an idle machine. FOLDER is where
//! the snapshot is written (default: the system's folder for temporary files).

use std::{
    error::Error,
    fs::File,
    hint::black_box,
    io::{BufReader, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Barrier},
    time::Instant,
};

use foreshock_benches::shapes::{best, frames, value};
use foreshock_core::{
    config::Config,
    pipeline::{
        Event, Pipeline, PipelineConfig,
        file::{self, Damaged, Sections},
    },
    types::{Record, Section, Source},
};
use foreshock_detectors::{
    AbsenceBank, CoreBank, CoreConfig, EntityBank, EntityScores, ForestBank, ForestConfig, Frame, JointBank,
    JointConfig, Scores, SegmentBank, SegmentConfig, SeriesBank,
};
use ndarray::Array2;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message;

/// Numbers of an array that no cache holds: 512 MiB.
const LARGE: usize = 1 << 26;
const GIB: f64 = (1_u64 << 30) as f64;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let read = bandwidth();
    kernels(read);
    growth();
    snapshot(&folder)
}

/// Measures what one thread moves to and from memory; gives bytes read and written per second by an update in place, which is what
/// a kernel does to its state.
fn bandwidth() -> f64 {
    let mut a = vec![1.0_f64; LARGE];
    let b = vec![2.0_f64; LARGE];
    let bytes = (LARGE * size_of::<f64>()) as f64;
    let read = best(5, || {
        let mut sums = [0.0; 16];
        for chunk in black_box(&b).as_chunks::<16>().0 {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += value;
            }
        }
        black_box(sums);
    });
    let update = best(5, || black_box(&mut a).iter_mut().for_each(|value| *value = *value * 1.5 + 0.5));
    let triad = best(5, || {
        black_box(&mut a).iter_mut().zip(&b).for_each(|(a, b)| *a = *b + 3.0 * *a);
    });
    println!("memory, one thread, arrays of 512 MiB");
    println!("  read            {:>7.1} GiB/s", bytes / read / GIB);
    println!("  update in place {:>7.1} GiB/s (read and written)", 2.0 * bytes / update / GIB);
    println!("  triad           {:>7.1} GiB/s (two read, one written)", 3.0 * bytes / triad / GIB);
    2.0 * bytes / update
}

/// Points per second of a bank, after `warm` frames, over `ticks` frames.
fn rate(bank: &mut impl SeriesBank, warm: usize, ticks: usize) -> f64 {
    let series = bank.slots();
    let frames = frames(series);
    let mut out = Scores::new(series);
    let mut tick = 0;
    let mut run = |count: usize| {
        for _ in 0..count {
            bank.advance(&Frame { time: tick * 10, values: &frames[tick as usize % 8] }, &mut out);
            tick += 1;
        }
    };
    run(warm);
    (series * ticks) as f64 / best(3, || run(ticks))
}

fn entity_rate(bank: &mut impl EntityBank, features: usize) -> f64 {
    let rows = bank.rows();
    let matrix = Array2::from_shape_fn((rows, features), |(row, feature)| value(row * features + feature, 3));
    let mut out = EntityScores::new(rows, features);
    let mut tick = 0;
    let mut run = |count: usize| {
        for _ in 0..count {
            bank.advance(tick * 10, matrix.view(), &mut out);
            tick += 1;
        }
    };
    run(8);
    (rows * 8) as f64 / best(3, || run(8))
}

/// State read and written per point against what the memory gives. A share far below 1 is bound by arithmetic.
fn kernels(bandwidth: f64) {
    println!("\nkernels, one thread; share: of the bandwidth of an update in place");
    println!("  {:<44} {:>12} {:>12} {:>9} {:>6}", "kernel", "state, bytes", "touched", "M/s", "share");
    // `passes`: 2 for state that is read and written, 1 for what is only read.
    let line = |name: &str, state: usize, touched: usize, passes: f64, rate: f64| {
        let share = passes * touched as f64 * rate / bandwidth;
        println!("  {name:<44} {state:>12} {touched:>12} {:>9.2} {share:>6.2}", rate / 1e6);
    };
    let (state, touched) = (CoreBank::bytes_per_series(), CoreBank::bytes_per_point());
    let core = rate(&mut CoreBank::new(CoreConfig::default(), 100_000), 8, 8);
    line("core tier, 100,000 series, per point", state, touched, 2.0, core);
    let absence = rate(&mut AbsenceBank::new(100_000), 40, 40);
    line("absence, 100,000 series, per point", 32, 32, 2.0, absence);
    let window = 4_096;
    let mut segments = SegmentBank::new(SegmentConfig::default(), 4);
    let rate = rate(&mut segments, window + 600, 200);
    line("deep tier, windows of 4,096, per point", 68 * window, 32 * window, 2.0, rate);
    let features = 8;
    let mut forest = ForestBank::new(ForestConfig::default(), features, 4_096);
    // A row reads eight nodes of 8 bytes and a leaf of 4 in each of 100 trees, which fit the second-level cache.
    line(
        "forest, 100 trees, 8 features, per row",
        8 * features,
        100 * 68,
        1.0,
        entity_rate(&mut forest, features),
    );
    let mut joint = JointBank::new(JointConfig::default(), features, 4_096);
    let held = 16 * features * features + 64 * features;
    line("joint detector, 8 features, per row", held, held, 2.0, entity_rate(&mut joint, features));
}

/// The core tier with more series, and with two threads that have half of them each.
fn growth() {
    println!("\ncore tier, million points per second by number of series");
    println!("  {:>9} {:>10} {:>10} {:>6}", "series", "1 thread", "2 threads", "ratio");
    for series in [1_000_usize, 10_000, 100_000, 1_000_000] {
        let ticks = (4_000_000 / series).clamp(3, 400);
        let one = rate(&mut CoreBank::new(CoreConfig::default(), series), ticks.min(40), ticks);
        let two = together(series, ticks);
        println!("  {series:>9} {:>10.2} {:>10.2} {:>6.2}", one / 1e6, two / 1e6, two / one);
    }
}

/// Points per second of two threads with half of the series each, begun together, until both have ended.
fn together(series: usize, ticks: usize) -> f64 {
    let begin = Barrier::new(3);
    let half = || {
        let mut bank = CoreBank::new(CoreConfig::default(), series / 2);
        let (frames, mut out) = (frames(series / 2), Scores::new(series / 2));
        let mut run = |from: usize, count: usize| {
            for tick in from..from + count {
                bank.advance(&Frame { time: tick as i64 * 10, values: &frames[tick % 8] }, &mut out);
            }
        };
        run(0, ticks.min(40));
        begin.wait();
        run(40, ticks);
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(half), scope.spawn(half)];
        begin.wait();
        let start = Instant::now();
        for thread in threads {
            thread.join().expect("a thread that only counts");
        }
        (series * ticks) as f64 / start.elapsed().as_secs_f64()
    })
}

/// The state of a whole engine with a million series, to memory, to disk and back, beside the disk itself.
fn snapshot(folder: &Path) -> Result<(), Box<dyn Error>> {
    let path = folder.join("foreshock-roofline.tmp");
    let config = pipeline_config();
    let pipeline = watched(config.clone());
    // Three times, in turn: a shared disk has moods.
    let [mut saving, mut writing, mut reading, mut loading, mut all_out, mut all_in] = [f64::INFINITY; 6];
    let mut size = 0.0;
    for _ in 0..3 {
        let (sections, seconds) = timed(|| pipeline.save());
        let sections = sections?;
        saving = saving.min(seconds);
        let (written, seconds) = timed(|| write(&path, |take| sections.into_iter().try_for_each(take)));
        written?;
        writing = writing.min(seconds);
        let (written, seconds) = timed(|| write(&path, |take| pipeline.save_each(take)));
        written?;
        all_out = all_out.min(seconds);
        size = std::fs::metadata(&path)?.len() as f64;
        let (bytes, seconds) = timed(|| read(&path));
        let bytes = bytes?;
        reading = reading.min(seconds);
        let (loaded, seconds) = timed(|| load(&config, Sections::new(&bytes[..])?));
        loading = loading.min(seconds);
        drop((loaded?, bytes));
        let (loaded, seconds) =
            timed(|| load(&config, file::read_ahead(BufReader::with_capacity(2 << 20, cold(&path)?))?));
        all_in = all_in.min(seconds);
        assert_eq!(loaded?.series(), pipeline.series(), "what came back is what was saved");
    }
    println!("\nsnapshot of an engine with {} series, {:.2} GiB", pipeline.series(), size / GIB);
    let line = |what: &str, seconds: f64| println!("  {what:<36} {:>6.2} GiB/s", size / seconds / GIB);
    line("state to bytes", saving);
    line("bytes to state", loading);
    line("disk, write and sync", writing);
    line("disk, read, none of it in memory", reading);
    let share = |what: &str, seconds: f64, disk: f64| {
        println!("  {what:<36} {:>6.2} GiB/s, {:.2} of the disk's", size / seconds / GIB, disk / seconds);
    };
    share("state to disk", all_out, writing);
    share("disk to state", all_in, reading);
    Ok(std::fs::remove_file(&path)?)
}

/// An engine that has seen a million series in four ticks: gauges of 100,000 services.
fn watched(config: PipelineConfig) -> Pipeline {
    const SERVICES: usize = 100_000;
    let mut pipeline = Pipeline::new(config).expect("a configuration of defaults");
    let source = Source { topic: Arc::from("otlp_metrics"), partition: 0 };
    let mut offset = 0;
    for tick in 0..4 {
        for some in 0..SERVICES / 1000 {
            let records: Vec<Record> = (some * 1000..(some + 1) * 1000)
                .map(|service| {
                    offset += 1;
                    gauges(offset, tick, service, SERIES / SERVICES)
                })
                .collect();
            pipeline.on_event_measured(Event::Records { source: &source, records: &records }, |_| Vec::new());
        }
    }
    pipeline
}

/// The default configuration, with room for these series.
fn pipeline_config() -> PipelineConfig {
    let mut config = Config::default();
    config.series.max = 2 * SERIES;
    config.pipeline()
}

/// Series of the engine whose snapshot is taken.
const SERIES: usize = 1_000_000;

/// A record of so many gauges of a service.
fn gauges(offset: i64, tick: usize, service: usize, count: usize) -> Record {
    let time_ms = 1_772_409_600_000 + tick as i64 * 10_000;
    let metric = |metric: usize| {
        let point = NumberDataPoint {
            time_unix_nano: time_ms as u64 * 1_000_000,
            value: Some(number_data_point::Value::AsDouble(value(service * count + metric, tick))),
            ..NumberDataPoint::default()
        };
        let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
        Metric { name: format!("app.metric.{metric}"), data, ..Metric::default() }
    };
    let name = Some(AnyValue { value: Some(Value::StringValue(format!("service-{service}"))) });
    let attributes = vec![KeyValue { key: "service.name".to_string(), value: name, ..KeyValue::default() }];
    let scope = ScopeMetrics { metrics: (0..count).map(metric).collect(), ..ScopeMetrics::default() };
    let resource = ResourceMetrics {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    let payload = ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec().into();
    Record { offset, time_ms, payload, ..Record::default() }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let done = black_box(work());
    (done, start.elapsed().as_secs_f64())
}

/// Writes the sections that `give` gives, so that they survive a loss of power.
fn write(
    path: &Path,
    give: impl FnOnce(&mut dyn FnMut(Section) -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut to = File::create(path)?;
    to.write_all(&file::begin())?;
    give(&mut |section| Ok(file::pieces(&section)?.iter().try_for_each(|piece| to.write_all(piece))?))?;
    to.write_all(&file::end()?)?;
    Ok(to.sync_all()?)
}

/// A file of which the system has nothing in memory.
fn cold(path: &Path) -> std::io::Result<File> {
    let file = File::open(path)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(file)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = cold(path)?;
    let mut all = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or_default());
    file.read_to_end(&mut all)?;
    Ok(all)
}

fn load(
    config: &PipelineConfig,
    sections: impl Iterator<Item = Result<Section, Damaged>>,
) -> Result<Pipeline, Box<dyn Error>> {
    Pipeline::load_each(config.clone(), sections.map(|section| section.map_err(Into::into)))
}
