//! When a series meets its limit: exponential smoothing with the trend that fits best (AutoETS of `augurs`, after Hyndman et al.,
//! *Forecasting with Exponential Smoothing*, 2008); below its daily season (MSTL, Bandara et al., 2021) once two days are known.

use augurs::{
    Fit, Forecast, Predict,
    ets::{AutoETS, trend::AutoETSTrendModel},
    mstl::MSTLModel,
};

use serde::{Deserialize, Serialize};

use super::{limit::Side, past::Looked};

/// Share of outcomes that the interval is to hold.
const LEVEL: f64 = 0.8;

/// Share of the variation that a line must explain before it is worth to look closer, where no season is known.
const LINE: f64 = 0.8;

/// When a limit is met, seconds from now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Breach {
    pub(super) earliest_s: f64,
    pub(super) likely_s: f64,
    pub(super) latest_s: f64,
    /// How far ahead something is said at all.
    pub(super) horizon_s: f64,
}

impl Breach {
    /// The same, some time later.
    pub(super) fn later(self, seconds: i64) -> Breach {
        let less = |time_s: f64| (time_s - seconds as f64).max(0.0);
        Breach {
            earliest_s: less(self.earliest_s),
            likely_s: less(self.likely_s),
            latest_s: less(self.latest_s),
            ..self
        }
    }
}

/// The breach that a past leads to, within the horizon: half as far ahead as is looked back.
pub(super) fn ahead(mut looked: Looked, limit: f64, side: Side) -> Option<Breach> {
    // Downwards is upwards, turned over.
    let sign = match side {
        Side::Below => 1.0,
        Side::Above => -1.0,
    };
    looked.values.iter_mut().for_each(|value| *value *= sign);
    let limit = sign * limit;
    let now = *looked.values.last()?;
    let horizon = looked.values.len() / 2;
    if now >= limit || !rises(&looked, limit - now, horizon) {
        return None;
    }
    // The late end of the interval may lie beyond the horizon.
    let forecast = forecast(&looked, 2 * horizon)?;
    let intervals = forecast.intervals?;
    let meets = |values: &[f64]| values.iter().position(|value| *value >= limit).map(|at| at as f64 + 1.0);
    let likely = meets(&forecast.point).filter(|steps| *steps <= horizon as f64)?;
    let (earliest, latest) = (meets(&intervals.upper)?, meets(&intervals.lower)?);
    let seconds = |steps: f64| (steps * looked.step_s as f64 - looked.ago_s as f64).max(0.0);
    // Within a step it is not known when.
    Some(Breach {
        earliest_s: seconds(earliest - 1.0),
        likely_s: seconds(likely - 0.5),
        latest_s: seconds(latest + 1.0),
        horizon_s: seconds(horizon as f64),
    })
}

fn forecast(looked: &Looked, steps: usize) -> Option<Forecast> {
    // Additive errors: their intervals are exact, and nothing is drawn by chance.
    let ets = AutoETS::new(1, "AZN").ok()?;
    let made = match looked.day {
        None => ets.fit(&looked.values).ok()?.predict(steps, LEVEL).ok()?,
        Some(day) => {
            let model = MSTLModel::new(vec![day], AutoETSTrendModel::from(ets));
            model.fit(&looked.values).ok()?.predict(steps, LEVEL).ok()?
        }
    };
    let are_finite = made.point.iter().all(|value| value.is_finite());
    Some(made).filter(|_| are_finite)
}

/// Whether it is worth to look closer: the course so far leads to the limit. A line through all of it, or from day to day
/// where two days are known.
fn rises(looked: &Looked, missing: f64, horizon: usize) -> bool {
    if let Some(day) = looked.day {
        let values = &looked.values;
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (earlier, later) = values[values.len() - 2 * day..].split_at(day);
        let per_step = (mean(later) - mean(earlier)) / day as f64;
        return per_step > 0.0 && per_step * horizon as f64 >= 0.5 * missing;
    }
    let count = looked.values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = looked.values.iter().sum::<f64>() / count;
    let (mut along, mut across, mut both) = (0.0, 0.0, 0.0);
    for (at, value) in looked.values.iter().enumerate() {
        let (x, y) = (at as f64 - middle, value - mean);
        along += x * x;
        across += y * y;
        both += x * y;
    }
    let slope = both / along;
    slope > 0.0 && both * both >= LINE * along * across && slope * horizon as f64 >= 0.5 * missing
}
