//! Estates of services as plain data: who calls whom, what each can bear, what it writes to its log.

use crate::generated::random::Random;

/// What a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Where customers come in.
    Gateway,
    App,
    /// Serves a machine-learning model.
    Model,
    /// Takes messages from the queue before it in the estate.
    Worker,
    Database,
    Cache,
    Queue,
}

/// Calls of a service that a request to it brings with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub to: usize,
    pub per_request: f64,
    /// Whether the request fails without it.
    pub required: bool,
}

/// One service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub name: String,
    pub role: Role,
    pub route: String,
    /// Own work of a request, milliseconds.
    pub work_ms: f64,
    pub memory_mib: f64,
    /// Share of the processors that is busy at the usual load.
    pub busy: f64,
    pub calls: Vec<Call>,
    /// Lines that it writes when all is well.
    pub lines: [&'static str; 3],
}

/// Services in an order in which callers come before those whom they call.
#[derive(Clone, Debug)]
pub(super) struct Estate {
    pub services: Vec<Service>,
    /// Usual requests per second of each.
    pub usual: Vec<f64>,
}

const NOUNS: [&str; 40] = [
    "account", "address", "audit", "basket", "billing", "booking", "carrier", "catalog", "claims", "contact",
    "coupon", "credit", "device", "document", "export", "fare", "feed", "fleet", "geo", "gift", "image",
    "import", "invoice", "ledger", "loyalty", "media", "menu", "notice", "offer", "order", "parcel", "price",
    "profile", "quote", "refund", "report", "review", "route", "seat", "stock",
];

const LINES: [&str; 12] = [
    "request {id} served in {ms} ms",
    "loaded {n} rows for customer {n}",
    "refreshed token of session {id}",
    "wrote entry {id} to outbox",
    "resized pool to {n} connections",
    "GET /internal/state from {ip} took {ms} ms",
    "accepted batch {id} with {n} items",
    "skipped {n} stale keys in {ms} ms",
    "user {n} opened view {id}",
    "published event {id} after {ms} ms",
    "schedule tick {n} done",
    "sent report {id} to {ip}",
];

impl Estate {
    /// An estate of so many services; its shape depends on the seed.
    pub(super) fn new(size: usize, random: &mut Random) -> Estate {
        let count = |share: f64| ((size as f64 * share) as usize).max(1);
        let layers = if size < 30 { 2 } else { 3 };
        let (gateways, databases, caches, queues) = (count(0.03), count(0.17), count(0.08), count(0.04));
        let models = count(0.03);
        let apps = size - gateways - databases - caches - 2 * queues - models;
        let mut layered: Vec<(Role, usize)> = vec![(Role::Gateway, 0); gateways];
        for layer in 1..=layers {
            let of_layer = apps / layers + usize::from(layer <= apps % layers);
            layered.extend(vec![(Role::App, layer); of_layer]);
        }
        layered.extend(vec![(Role::Model, layers + 1); models]);
        layered.extend((0..queues).flat_map(|_| [(Role::Queue, layers + 1), (Role::Worker, layers + 2)]));
        layered.extend(vec![(Role::Cache, layers + 3); caches]);
        layered.extend(vec![(Role::Database, layers + 3); databases]);
        let mut services: Vec<Service> =
            layered.iter().enumerate().map(|(at, (role, _))| service(at, *role, random)).collect();

        let places = |wanted: Role, layer: Option<usize>| -> Vec<usize> {
            let fits =
                |at: &usize| layered[*at].0 == wanted && layer.is_none_or(|layer| layered[*at].1 == layer);
            (0..size).filter(fits).collect()
        };
        let mut link = |from: usize, to: usize, low: f64, high: f64, required: bool, random: &mut Random| {
            if services[from].calls.iter().all(|call| call.to != to) {
                let per_request = random.between(low, high);
                services[from].calls.push(Call { to, per_request, required });
            }
        };
        for layer in 0..layers {
            let above = places(if layer == 0 { Role::Gateway } else { Role::App }, Some(layer));
            let below = places(Role::App, Some(layer + 1));
            for from in &above {
                for _ in 0..random.whole(1, 4) {
                    let to = below[random.whole(0, below.len())];
                    let required = random.unit() < 0.8;
                    link(*from, to, 0.3, 1.0, required, random);
                }
            }
            // Nobody stands alone.
            for to in &below {
                let from = above[random.whole(0, above.len())];
                link(from, *to, 0.3, 0.8, true, random);
            }
        }
        let callers: Vec<usize> = (0..size).filter(|at| layered[*at].0 == Role::App).collect();
        for (role, share, low, high) in [
            (Role::Cache, 0.35, 0.8, 1.0),
            (Role::Database, 0.6, 0.4, 1.0),
            (Role::Model, 0.05, 0.3, 0.8),
            (Role::Queue, 0.1, 0.2, 0.5),
        ] {
            let below = places(role, None);
            let required = role == Role::Database;
            for from in &callers {
                if random.unit() < share {
                    link(*from, below[random.whole(0, below.len())], low, high, required, random);
                }
            }
            for to in &below {
                link(callers[random.whole(0, callers.len())], *to, low, high, required, random);
            }
        }
        let databases = places(Role::Database, None);
        for worker in places(Role::Worker, None) {
            link(worker, databases[random.whole(0, databases.len())], 0.8, 1.0, true, random);
        }

        let mut estate = Estate { usual: Vec::new(), services };
        let customers = 40.0 * (size as f64 / 12.0).sqrt();
        estate.usual = estate.rates(customers);
        estate
    }

    /// Requests per second that so many customers bring to each service when all is well.
    fn rates(&self, customers: f64) -> Vec<f64> {
        let gateways = self.of_role(Role::Gateway).count() as f64;
        let mut rates = vec![0.0; self.services.len()];
        for (at, service) in self.services.iter().enumerate() {
            match service.role {
                Role::Gateway => rates[at] = customers / gateways,
                Role::Worker => rates[at] = rates[at - 1],
                _ => {}
            }
            for call in &service.calls {
                rates[call.to] += rates[at] * call.per_request;
            }
        }
        rates
    }

    /// Places of the services of a role.
    pub(super) fn of_role(&self, role: Role) -> impl Iterator<Item = usize> {
        (0..self.services.len()).filter(move |at| self.services[*at].role == role)
    }

    /// Everything that a service's trouble can touch: it, its callers up to the customers, and whom it calls.
    pub(super) fn touched(&self, at: usize) -> Vec<usize> {
        let mut touched = vec![at];
        let mut next = 0;
        while let Some(&at) = touched.get(next) {
            for (caller, service) in self.services.iter().enumerate() {
                let feeds = service.role == Role::Queue && caller + 1 == at;
                if (feeds || service.calls.iter().any(|call| call.to == at)) && !touched.contains(&caller) {
                    touched.push(caller);
                }
            }
            next += 1;
        }
        touched.extend(self.services[at].calls.iter().map(|call| call.to));
        touched
    }
}

fn service(at: usize, role: Role, random: &mut Random) -> Service {
    let noun = NOUNS[at % NOUNS.len()];
    let round = if at < NOUNS.len() { String::new() } else { format!("-{}", at / NOUNS.len() + 1) };
    let (suffix, work_ms, memory_mib) = match role {
        Role::Gateway => ("gateway", 3.0, 300.0),
        Role::App => ("api", random.between(4.0, 40.0), random.between(150.0, 900.0)),
        Role::Model => ("ranker", random.between(20.0, 60.0), 2_000.0),
        Role::Worker => ("worker", random.between(20.0, 80.0), 250.0),
        Role::Database => ("db", random.between(1.5, 8.0), 4_000.0),
        Role::Cache => ("cache", random.between(0.3, 0.8), 1_000.0),
        Role::Queue => ("queue", 0.8, 500.0),
    };
    let name = format!("{noun}{round}-{suffix}");
    let first = random.whole(0, LINES.len());
    Service {
        route: format!("/v1/{noun}{round}/{{id}}"),
        name,
        role,
        work_ms,
        memory_mib,
        busy: random.between(0.15, 0.45),
        calls: Vec::new(),
        lines: [0, 1, 2].map(|step| LINES[(first + step) % LINES.len()]),
    }
}
