//! How often the core tier's band covers the next value on real series: those of the Numenta Anomaly Benchmark, anomalies included.
//! While values stay outside as in an outage the band stays at the old normal, so that beyond the start fewer are covered.

use foreshock_benches::{nab, paths};
use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};

#[test]
fn the_band_covers_the_next_value_of_real_series() {
    let Some(data) = paths::data() else { return };
    let (mut inside, mut all) = ([0.0; 3], [0.0; 3]);
    for series in nab::read(&data.join("nab")).unwrap() {
        let (mut bank, mut out) = (CoreBank::new(CoreConfig::default(), 1), Scores::new(1));
        for (row, (time, value)) in series.times.iter().zip(&series.values).enumerate() {
            bank.advance(&Frame { time: *time, values: &[*value] }, &mut out);
            if row < 2 {
                continue;
            }
            let part = if row < 10 { 0 } else { usize::from(row >= 30) + 1 };
            all[part] += 1.0;
            inside[part] += f64::from(u8::from((out.lower[0]..=out.upper[0]).contains(value)));
        }
    }
    let shares = [inside[0] / all[0], inside[1] / all[1], inside[2] / all[2]];
    println!("values 3 to 10 {:.4}, 11 to 30 {:.4}, after {:.4}", shares[0], shares[1], shares[2]);
    for (share, floor) in shares.iter().zip([0.97, 0.98, 0.955]) {
        assert!(*share > floor, "{shares:?}");
    }
}
