//! `foreshock status`: what the engine sees, what is warm, what is silent.

use anyhow::Context;
use clap::Args;

use super::{
    Ending,
    credentials::Http,
    output::{print, say},
    screen::{cut, fit, plain, time, width},
};
use crate::api::Status;

/// Show what a running engine sees.
///
/// Example: foreshock status --http http://127.0.0.1:7118
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    engine: Http,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let (url, text) = arguments.engine.get("status")?;
    if arguments.json {
        say(text.trim())?;
        return Ok(Ending::Fine);
    }
    let status: Status =
        serde_json::from_str(&text).with_context(|| format!("{url} is no engine of this version"))?;
    print(&screen(&status, width()))?;
    Ok(Ending::Fine)
}

/// Columns of a row beside its topic, and the most that a topic is given.
const BESIDE: usize = 55;
const TOPIC: usize = 48;

/// The status as text, at most this wide.
fn screen(status: &Status, width: usize) -> String {
    let mode = match status.learns_until_ms {
        Some(until_ms) => format!("learns, tells from {} UTC", time(until_ms)),
        None if status.catching_up => "catching up: observes, does not act".to_string(),
        None => "live".to_string(),
    };
    let halted =
        if status.halted.is_empty() { String::new() } else { format!("; {}", plain(&status.halted)) };
    let lines = [
        format!("engine      {mode}, {} records behind", status.lag_records),
        format!(
            "tick        {}",
            status.tick_ms.map_or_else(|| "nothing yet".to_string(), |ms| format!("{} UTC", time(ms)))
        ),
        format!(
            "series      {} known, {} warm, {} silent; {} deep, {} without room there",
            status.series,
            status.warm_series,
            status.silent_series,
            status.deep_series,
            status.shallow_series
        ),
        format!("incidents   {} open", status.open_incidents),
        format!("controllers {} connected{halted}", status.controllers),
        format!(
            "records     {} read, {} rejected; {} samples late",
            status.records, status.rejected, status.late
        ),
    ];
    let past = &status.history;
    let known = format!("history     {} series known, {} began with it", past.series, status.with_history);
    let problems = past.problems.iter().map(|problem| format!("            {problem}"));
    let has_past = past.series > 0 || !past.problems.is_empty();
    let past = has_past.then_some(known).into_iter().chain(problems);
    let topic = width.saturating_sub(BESIDE).clamp(12, TOPIC);
    let row = |name: &str, part: &str, offset: &str, newest: &str| {
        format!("{} {part:>4} {offset:>12}  {newest}", fit(name, topic))
    };
    let latest = status.partitions.iter().filter_map(|partition| partition.newest_ms).max();
    let partitions = status.partitions.iter().map(|partition| {
        let (part, offset) = (partition.partition.to_string(), partition.next_offset.to_string());
        let newest = match partition.stands_still {
            true => "stands still: gives no record".to_string(),
            false => newest(partition.newest_ms, latest),
        };
        row(&partition.topic, &part, &offset, &newest)
    });
    let head = row("topic", "part", "next offset", "newest event (UTC)");
    let lines = lines.into_iter().chain(past).chain([String::new(), head]).chain(partitions);
    lines.map(|line| format!("{}\n", cut(&line, width))).collect()
}

/// When a partition last had an event, and how far that is behind the latest of all.
fn newest(own: Option<i64>, latest: Option<i64>) -> String {
    match (own, latest) {
        (None, _) => "silent: no event since the start".to_string(),
        (Some(own), Some(latest)) if latest - own >= 60_000 => {
            format!("{}  {} s behind", time(own), (latest - own) / 1000)
        }
        (Some(own), _) => time(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PartitionStatus;

    #[test]
    fn the_screen_says_what_is_silent() {
        let partition = |topic: &str, newest_ms| PartitionStatus {
            topic: topic.to_string(),
            partition: 0,
            next_offset: 1234,
            newest_ms,
            stands_still: topic == "orders",
        };
        let status = Status {
            tick_ms: Some(1_772_420_400_000),
            series: 304,
            warm_series: 290,
            deep_series: 280,
            silent_series: 2,
            records: 98_051,
            partitions: vec![
                partition("otlp_metrics", Some(1_772_420_410_000)),
                partition("otlp_logs", Some(1_772_420_000_000)),
                partition("changes", None),
                partition("orders", Some(1_772_420_409_000)),
                partition("telemetry.europe-west.production.metrics.v2", Some(1_772_420_409_000)),
            ],
            ..Status::default()
        };
        for width in [80, 120] {
            let screen = screen(&status, width);
            assert!(screen.lines().all(|line| line.chars().count() <= width), "{screen}");
            insta::assert_snapshot!(format!("status_{width}"), screen);
        }
        let learns = Status { learns_until_ms: Some(1_772_420_400_000), catching_up: true, ..status };
        let first = screen(&learns, 80).lines().next().unwrap_or_default().to_string();
        assert_eq!(first, "engine      learns, tells from 2026-03-02 03:00:00 UTC, 0 records behind");
    }
}
