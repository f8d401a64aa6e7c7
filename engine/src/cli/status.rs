//! `foreshock status`: what the engine sees, what is warm, what is silent.

use anyhow::Context;
use clap::Args;

use super::Ending;
use crate::run::Status;

/// Show what a running engine sees.
///
/// Example: foreshock status --http http://127.0.0.1:7118
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the engine serves HTTP.
    #[arg(long, env = "FORESHOCK_HTTP", default_value = "http://127.0.0.1:7118")]
    http: String,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let url = format!("{}/status", arguments.http.trim_end_matches('/'));
    let mut answer = ureq::get(&url)
        .call()
        .with_context(|| format!("no engine answers at {url}: is it running, and http.listen there?"))?;
    let text = answer.body_mut().read_to_string()?;
    if arguments.json {
        println!("{}", text.trim());
        return Ok(Ending::Fine);
    }
    let status: Status =
        serde_json::from_str(&text).with_context(|| format!("{url} is no engine of this version"))?;
    print!("{}", screen(&status));
    Ok(Ending::Fine)
}

/// The status as text, at most 80 columns for names of usual length.
fn screen(status: &Status) -> String {
    let time = |time_ms: Option<i64>| match time_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
    {
        Some(time) => time.to_string(),
        None => "nothing yet".to_string(),
    };
    let mode = if status.catching_up { "catching up: observes, does not act" } else { "live" };
    let mut text = format!(
        "engine      {mode}, {} records behind\n\
         tick        {}\n\
         series      {} known, {} warm\n\
         incidents   {} open\n\
         controllers {} connected\n\
         records     {} read, {} rejected; {} samples late\n\n",
        status.lag_records,
        time(status.tick_ms),
        status.series,
        status.warm_series,
        status.open_incidents,
        status.controllers,
        status.records,
        status.rejected,
        status.late,
    );
    text.push_str(&format!("{:<28} {:>4} {:>12}  newest event\n", "topic", "part", "next offset"));
    let newest = status.partitions.iter().filter_map(|partition| partition.newest_ms).max();
    for partition in &status.partitions {
        let behind = match (partition.newest_ms, newest) {
            (None, _) => "silent: no event since the start".to_string(),
            (Some(own), Some(newest)) if newest - own >= 60_000 => {
                format!("{} ({} s behind the others)", time(Some(own)), (newest - own) / 1000)
            }
            (own, _) => time(own),
        };
        text.push_str(&format!(
            "{:<28} {:>4} {:>12}  {behind}\n",
            partition.topic, partition.partition, partition.next_offset
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::PartitionStatus;

    #[test]
    fn the_screen_says_what_is_silent() {
        let partition = |topic: &str, newest_ms| PartitionStatus {
            topic: topic.to_string(),
            partition: 0,
            next_offset: 1234,
            newest_ms,
        };
        let status = Status {
            tick_ms: Some(1_772_420_400_000),
            series: 304,
            warm_series: 290,
            records: 98_051,
            partitions: vec![
                partition("otlp_metrics", Some(1_772_420_410_000)),
                partition("otlp_logs", Some(1_772_420_000_000)),
                partition("changes", None),
            ],
            ..Status::default()
        };
        insta::assert_snapshot!(screen(&status), @r"
        engine      live, 0 records behind
        tick        2026-03-02T03:00:00Z
        series      304 known, 290 warm
        incidents   0 open
        controllers 0 connected
        records     98051 read, 0 rejected; 0 samples late

        topic                        part  next offset  newest event
        otlp_metrics                    0         1234  2026-03-02T03:00:10Z
        otlp_logs                       0         1234  2026-03-02T02:53:20Z (410 s behind the others)
        changes                         0         1234  silent: no event since the start
        ");
    }
}
