//! Figures as text.

use std::fmt::Write as _;

/// Which tier gives a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// What runs for every series.
    Core,
    /// What runs for a bounded number of series.
    Deep,
    /// Both, together.
    Both,
}

impl Tier {
    fn word(self) -> &'static str {
        match self {
            Tier::Core => "core",
            Tier::Deep => "deep",
            Tier::Both => "core, deep",
        }
    }
}

/// What a figure is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// At least this much.
    AtLeast(f64),
    /// More than this.
    Above(f64),
    /// From the first to the second.
    Within(f64, f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(least) => value >= least,
            Bound::Above(limit) => value > limit,
            Bound::Within(from, to) => (from..=to).contains(&value),
        }
    }

    fn text(self, digits: usize) -> String {
        match self {
            Bound::AtLeast(least) => format!("{least:.digits$}"),
            Bound::Above(limit) => format!("> {limit:.digits$}"),
            Bound::Within(from, to) => format!("{from} to {to}"),
        }
    }
}

/// One measured number.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// Which tier it comes from.
    pub tier: Tier,
    /// The number.
    pub value: f64,
    /// Digits behind the point.
    pub digits: usize,
    /// What it must not fall below.
    pub floor: Option<Bound>,
    /// What it is after.
    pub target: Option<Bound>,
    /// The same of others: the best published, and what was run beside it.
    pub peers: String,
}

impl Figure {
    /// A figure without floor, target or peers.
    pub fn new(what: impl Into<String>, tier: Tier, value: f64, digits: usize) -> Figure {
        Figure { what: what.into(), tier, value, digits, floor: None, target: None, peers: String::new() }
    }

    /// With a floor.
    pub fn floor(self, floor: Bound) -> Figure {
        Figure { floor: Some(floor), ..self }
    }

    /// With a target.
    pub fn target(self, target: Bound) -> Figure {
        Figure { target: Some(target), ..self }
    }

    /// With peers.
    pub fn peers(self, peers: impl Into<String>) -> Figure {
        Figure { peers: peers.into(), ..self }
    }

    fn verdict(&self) -> &'static str {
        let holds = |bound: Option<Bound>| bound.map(|bound| bound.holds(self.value));
        match (holds(self.floor), holds(self.target)) {
            (Some(false), _) if matches!(self.floor, Some(Bound::Within(..))) => "**outside**",
            (Some(false), _) => "**below floor**",
            (_, Some(true)) => "target",
            (Some(true), _) => "floor",
            (None, Some(false)) => "short of target",
            (None, None) => "",
        }
    }

    fn row(&self, set: &str) -> String {
        let Figure { what, value, digits, peers, .. } = self;
        let bound = |bound: Option<Bound>| bound.map_or(String::new(), |bound| bound.text(*digits));
        let tier = self.tier.word();
        let value = if value.is_nan() { "none".to_string() } else { format!("{value:.digits$}") };
        let (floor, target, verdict) = (bound(self.floor), bound(self.target), self.verdict());
        format!("| {set} | {what} | {tier} | {value} | {floor} | {target} | {verdict} | {peers} |")
    }
}

/// What one set gives.
#[derive(Debug, Clone)]
pub struct Section {
    /// The figures for the table.
    pub figures: Vec<Figure>,
    /// How it was scored, and the details: markdown.
    pub details: String,
    /// One line per file, for who wants to know.
    pub files: Vec<String>,
}

impl Section {
    /// Without lines per file.
    pub fn new(figures: Vec<Figure>, details: String) -> Section {
        Section { figures, details, files: Vec::new() }
    }
}

/// The table of all figures, then the details set by set, with the seconds that each took, and where asked for a line per file.
pub fn markdown(sections: &[(&str, f64, Section)], files: bool) -> String {
    let mut text = String::from("| set | figure | tier | measured | floor | target | reached | peers |\n");
    text.push_str("|---|---|---|---:|---:|---:|---|---|\n");
    for (set, _, section) in sections {
        for figure in &section.figures {
            let _ = writeln!(text, "{}", figure.row(set));
        }
    }
    for (set, seconds, section) in sections {
        let _ = writeln!(text, "\n## {set} ({seconds:.0} s)\n\n{}", section.details.trim_end());
        if files && !section.files.is_empty() {
            let _ = writeln!(text, "\n```\n{}\n```", section.files.join("\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_say_what_they_reached() {
        let figure = |value| {
            let figure = Figure::new("F1", Tier::Deep, value, 2).peers("other 0.4");
            figure.floor(Bound::AtLeast(0.5)).target(Bound::Above(0.9))
        };
        for (value, want) in [
            (0.49, "| set | F1 | deep | 0.49 | 0.50 | > 0.90 | **below floor** | other 0.4 |"),
            (0.5, "| set | F1 | deep | 0.50 | 0.50 | > 0.90 | floor | other 0.4 |"),
            (0.9, "| set | F1 | deep | 0.90 | 0.50 | > 0.90 | floor | other 0.4 |"),
            (0.91, "| set | F1 | deep | 0.91 | 0.50 | > 0.90 | target | other 0.4 |"),
            (f64::NAN, "| set | F1 | deep | none | 0.50 | > 0.90 | **below floor** | other 0.4 |"),
        ] {
            assert_eq!(figure(value).row("set"), want);
        }
        let ratio = Figure::new("ratio", Tier::Core, 2.0, 1).floor(Bound::Within(0.3, 1.5));
        assert_eq!(ratio.row("set"), "| set | ratio | core | 2.0 | 0.3 to 1.5 |  | **outside** |  |");
    }
}
