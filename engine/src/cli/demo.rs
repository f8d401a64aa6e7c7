//! `foreshock demo`: everything embedded.

use std::{collections::BTreeMap, io::IsTerminal, path::PathBuf};

use clap::Args;
use foreshock_controllers::ControllerConfig;
use foreshock_core::{config::LogFormat, types::ControllerKind};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    BadConfig, Ending, logging,
    output::{stdout, talk},
    screen,
};
use crate::demo::{self, DemoConfig};

/// Watch the engine find, explain and mend what goes wrong in a simulated shop. Needs nothing but itself.
///
/// Example: foreshock demo --seed 7
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Seed of the shop: one seed prints one story.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep everything up after the scenario, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Address of gRPC; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    grpc: String,
    /// Address of HTTP; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    http: String,
    /// Serve gRPC without TLS and to everybody, as a first controller of your own may want it.
    #[arg(long)]
    plain: bool,
    /// Roll back and restart by the real deploy controller with this configuration, not by a built-in one: on a cluster that has Deployments
    /// of the shop's services.
    #[arg(long, value_name = "FILE")]
    deploy: Option<PathBuf>,
    /// Retrain by the real retrain controller with this configuration, not by a built-in one.
    #[arg(long, value_name = "FILE")]
    retrain: Option<PathBuf>,
    /// What is logged on stderr.
    #[arg(long, default_value = "warn,rdkafka=off,librdkafka=off")]
    log: String,
}

impl Arguments {
    fn controllers(&self) -> Result<BTreeMap<ControllerKind, ControllerConfig>, BadConfig> {
        let files = [(ControllerKind::Deploy, &self.deploy), (ControllerKind::Retrain, &self.retrain)];
        let given = files.into_iter().filter_map(|(kind, file)| Some((kind, file.as_ref()?)));
        given
            .map(|(kind, file)| match ControllerConfig::read(file) {
                Ok(config) => Ok((kind, config)),
                Err(error) => Err(BadConfig(error.to_string())),
            })
            .collect()
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let level =
        if arguments.keep { "foreshock::demo=info,warn,rdkafka=off,librdkafka=off" } else { &arguments.log };
    logging::start(LogFormat::Human, level)?;
    let terminal = std::io::stdout().is_terminal();
    let config = DemoConfig {
        seed: arguments.seed,
        colour: terminal && std::env::var_os("NO_COLOR").is_none(),
        width: screen::width(),
        keep: arguments.keep,
        grpc: arguments.grpc.clone(),
        http: arguments.http.clone(),
        plain: arguments.plain,
        controllers: arguments.controllers()?,
    };
    let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(ProgressStyle::with_template("{bar:40.cyan/blue} {pos}/{len} ticks  {elapsed}")?);
    let out = bar_safe(&bar);
    let ended = demo::demo(&config, out, &mut |tick, total| {
        bar.set_length(total);
        bar.set_position(tick);
    })?;
    bar.finish_and_clear();
    let counts = ended.report.counts;
    let seconds = ended.elapsed.as_secs_f64();
    talk!(
        "{seconds:.1} s: {} records, {} samples, {} series; {:.0} samples/s with the shop in the same process",
        counts.records,
        counts.samples,
        ended.report.series,
        counts.samples as f64 / seconds
    );
    Ok(if ended.is_right() { Ending::Fine } else { Ending::Findings })
}

/// Lines on stdout that do not tear the bar on stderr.
fn bar_safe(bar: &ProgressBar) -> impl std::io::Write + use<> {
    BarSafe { bar: bar.clone(), line: Vec::new() }
}

struct BarSafe {
    bar: ProgressBar,
    line: Vec<u8>,
}

impl std::io::Write for BarSafe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if let Some(end) = self.line.iter().rposition(|byte| *byte == b'\n') {
            let lines: Vec<u8> = self.line.drain(..=end).collect();
            self.bar.suspend(|| stdout().write_all(&lines))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let lines = std::mem::take(&mut self.line);
        self.bar.suspend(|| stdout().write_all(&lines).and_then(|()| stdout().flush()))
    }
}
