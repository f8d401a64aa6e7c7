//! Which series has which slot: admission, end and reuse.

use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::FoldOutput;
use crate::types::{RoleRule, SeriesDef, measure_role::with_role};

/// How series are admitted.
#[derive(Clone, Copy)]
pub(super) struct Admission<'a> {
    /// Most slots.
    pub(super) max: usize,
    /// Roles of measures, where they are not what their names say.
    pub(super) roles: &'a [RoleRule],
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Slots {
    series: Vec<Option<Arc<SeriesDef>>>,
    last_tick: Vec<i64>,
    free: Vec<u32>,
    tick: i64,
    #[serde(skip)]
    by_key: HashMap<u64, u32>,
}

impl Slots {
    pub(super) fn series(&self) -> &[Option<Arc<SeriesDef>>] {
        &self.series
    }

    /// Begins a tick: every value is missing, and series without a value for `ttl` ticks end.
    pub(super) fn begin(&mut self, tick: i64, ttl: i64, out: &mut FoldOutput) {
        self.tick = tick;
        out.forgotten.clear();
        out.admitted.clear();
        out.refused_series = 0;
        for (slot, series) in self.series.iter_mut().enumerate() {
            let ended = series.take_if(|_| tick - self.last_tick[slot] > ttl);
            if let Some(ended) = ended {
                self.by_key.remove(&ended.key);
                self.free.push(slot as u32);
                out.forgotten.push(slot as u32);
            }
        }
        out.values.clear();
        out.values.resize(self.series.len(), f64::NAN);
    }

    /// The slot of a series, admitted where there is room.
    pub(super) fn slot(
        &mut self,
        series: &Arc<SeriesDef>,
        admission: Admission<'_>,
        out: &mut FoldOutput,
    ) -> Option<usize> {
        let known = self.by_key.get(&series.key).copied();
        let slot = match known.or_else(|| self.admit(series, admission, out)) {
            Some(slot) => slot as usize,
            None => return None,
        };
        self.last_tick[slot] = self.tick;
        Some(slot)
    }

    fn admit(
        &mut self,
        series: &Arc<SeriesDef>,
        admission: Admission<'_>,
        out: &mut FoldOutput,
    ) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.series.len() < admission.max => {
                self.series.push(None);
                self.last_tick.push(self.tick);
                out.values.push(f64::NAN);
                (self.series.len() - 1) as u32
            }
            None => return None,
        };
        self.series[slot as usize] = Some(with_role(admission.roles, series));
        self.by_key.insert(series.key, slot);
        out.admitted.push(slot);
        Some(slot)
    }

    /// The same slots with their index, after loading; the rules may be others by now.
    pub(super) fn indexed(mut self, roles: &[RoleRule]) -> Slots {
        self.series.iter_mut().flatten().for_each(|series| *series = with_role(roles, series));
        let series = self.series.iter().enumerate();
        self.by_key = series.filter_map(|(slot, series)| Some((series.as_ref()?.key, slot as u32))).collect();
        self
    }
}
