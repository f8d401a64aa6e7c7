//! The one place that chooses an instruction set, and the only file with `unsafe` in it.
//!
//! Each kernel is one plain body; here it is compiled once per instruction set. No wrapper turns on fused
//! multiply-add, so all of them give the same bits.

use crate::core::{self, Block, Tick, Work};
use crate::forest::{self, Reached, Rows, Tree};
use crate::segment::{self, Pass, Search, Splits, Stretch};

/// An instruction set that this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// What the target guarantees (SSE2 on x86-64, NEON on AArch64).
    Baseline,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// Every instruction set of this machine, the widest last.
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                sets.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                sets.push(Self::Avx512);
            }
        }
        sets
    }

    /// The widest one.
    pub(crate) fn best() -> Self {
        *Self::available().last().unwrap_or(&Self::Baseline)
    }
}

/// One body, compiled once per instruction set.
macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) = $body:path) => {
        $(#[$doc])*
        pub(crate) fn $name(isa: Isa, $($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $type),*) {
                $body($($argument),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) {
                $body($($argument),*);
            }
            match isa {
                Isa::Baseline => $body($($argument),*),
                // SAFETY: `Isa::Avx2` comes only from `Isa::available`, which asked the machine.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => unsafe { avx2($($argument),*) },
                // SAFETY: `Isa::Avx512` comes only from `Isa::available`, which asked the machine.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => unsafe { avx512($($argument),*) },
            }
        }
    };
}

/// Asks the memory for what will be needed soon, into the second-level cache: the first is full of what is at hand. Without effect
/// where the compiler knows no way to.
#[inline(always)]
pub(crate) fn fetch<T>(of: &T) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..size_of::<T>()).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let start = std::ptr::from_ref(of).cast::<i8>();
        // SAFETY: a prefetch reads nothing; the address lies within `of`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(start.add(line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = of;
}

kernel! {
    /// Advances one block of the core tier by one tick.
    core_step(b: &mut Block, w: &mut Work, tick: &Tick, config: &core::CoreConfig) = core::step
}

kernel! {
    /// Compares one subsequence of the deep tier with all before it.
    correlate(pass: &mut Pass<'_>) = segment::correlate
}

kernel! {
    /// Finds the neighbours that a new subsequence of the deep tier has and becomes.
    search(search: &mut Search<'_>) = segment::search
}

kernel! {
    /// Judges every split of a window of the deep tier.
    splits(splits: &mut Splits<'_>) = segment::judge
}

kernel! {
    /// Tests whether means have moved within a stretch.
    means(stretch: &mut Stretch<'_>) = segment::test
}

/// Takes a block of rows down the top levels of every tree of a forest.
pub(crate) fn top_levels(isa: Isa, trees: &[Tree], rows: &Rows, reached: &mut [Reached]) {
    match isa {
        Isa::Baseline => forest::top_levels(trees, rows, reached),
        // SAFETY: both come only from `Isa::available`, which asked the machine, and AVX-512 machines have AVX2;
        // wider vectors gain nothing here.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => unsafe { top_levels_avx2(trees, rows, reached) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn top_levels_avx2(trees: &[Tree], rows: &Rows, reached: &mut [Reached]) {
    forest::top_levels(trees, rows, reached);
}
