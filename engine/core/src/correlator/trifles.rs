//! What nobody need be called for, however unlikely it is: a handful of failed requests, times that are hardly longer.

use super::{
    harm::Users,
    symptom::{self, Symptom},
};
use crate::types::{Anomaly, AnomalyKind, measure_role::is_of_spans};

/// Failed requests within the last five minutes from which they are somebody's trouble.
const FEW: f64 = 5.0;

/// Times that rise to less than this many times what was expected are felt by nobody.
const HARDLY: f64 = 1.125;

/// Whether an anomaly opens no incident by itself, nor together with others of which the same holds. Failures that a rate tells are
/// counted by it, those that a share of spans tells by these spans.
pub(super) fn is_trifle(anomaly: &Anomaly, users: &Users) -> bool {
    if anomaly.kind != AnomalyKind::Series {
        return false;
    }
    match symptom::of(anomaly) {
        Symptom::Slow => symptom::rise(anomaly) < HARDLY,
        Symptom::Failing if symptom::is_of_requests(anomaly) => {
            anomaly.value * users.tick_s() * f64::from(anomaly.ticks) < FEW
        }
        Symptom::Failing if is_of_spans(&anomaly.measure) => {
            users.failures(&symptom::whose(anomaly)).is_some_and(|failures| failures < FEW)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::anomaly, *};
    use crate::types::{Edge, Entity, EntityKind, Traffic};

    /// Ten ticks of ten seconds; in the first of them a request to `cart` fails, and a call of `orders`.
    fn users(own: i64, calls: i64) -> Users {
        let [web, cart, orders] =
            [("web", EntityKind::Service), ("cart", EntityKind::Service), ("orders", EntityKind::Database)]
                .map(|(name, kind)| Entity::new(kind, name));
        let mut users = Users::default();
        for tick in 0..10 {
            let [own, calls] = [own, calls].map(|failing| u64::from(tick < failing));
            let traffic = Traffic { entity: cart.clone(), latency_ns: None, requests: 100, errors: own };
            let edge = Edge { caller: web.clone(), callee: orders.clone(), calls: 100, errors: calls };
            users.tick(tick * 10_000, &[traffic], &[edge]);
        }
        users
    }

    #[test]
    fn a_handful_of_failures_is_a_trifle() {
        // (ticks with a failure, of its own and of calls; the anomaly; a trifle)
        for (own, calls, line, expected) in [
            (3, 0, "0 cart span.errors:ratio 9 0.2", true),
            (9, 0, "0 cart span.errors:ratio 9 0.2", false),
            (9, 0, "0 elsewhere span.errors:ratio 9 0.2", false),
            (0, 3, "0 web span.edge.errors:ratio{callee=database/orders} 9 0.2", true),
            (9, 3, "0 web span.edge.errors:ratio{callee=database/orders} 9 0.2", true),
            (0, 9, "0 web span.edge.errors:ratio{callee=database/orders} 9 0.2", false),
            (0, 0, "0 cart http.server.request.errors:rate 9 0.05", true),
            (0, 0, "0 cart http.server.request.errors:rate 9 0.1", false),
            (0, 0, "0 cart log.error:rate 9 0.1", false),
            (0, 0, "0 cart http.server.request.duration:p95 9 1.1", true),
            (0, 0, "0 cart http.server.request.duration:p95 9 1.2", false),
        ] {
            let found = anomaly(line);
            let found = Anomaly { expected: if found.value < 1.0 { 0.0 } else { 1.0 }, ..found };
            assert_eq!(is_trifle(&found, &users(own, calls)), expected, "{own} {calls} {line}: {found:?}");
        }
    }
}
