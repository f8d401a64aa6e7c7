//! The shop as plain data: its services, what each operation does and calls, and what it writes to
//! its log (the operations themselves are in `operations`). How a request walks over it is `walk`'s
//! business; what goes wrong is `story`'s.

use super::operations::{
    ADD_ITEM, ADD_TO_CART, BUY, CHARGE, CONFIRM, CREATE_ORDER, GET_CART, GET_PRODUCT, GET_USER, HOME, LABEL,
    LIST_ORDERS, LIST_PRODUCTS, LOGIN, MY_ORDERS, PLACE_ORDER, PRODUCT, QUOTE, RECOMMEND, SIGN_IN,
};

/// How bad a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Info,
    Warn,
    Error,
}

/// A log line with holes in braces, which `logs::fill` fills.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) severity: Severity,
    pub(super) text: &'static str,
}

/// One service: its pods, its resources and its operations.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) pods: usize,
    pub(super) version: &'static str,
    /// What a pod uses when nothing is wrong.
    pub(super) memory_mib: f64,
    pub(super) uses_database: bool,
    pub(super) operations: &'static [&'static Operation],
    /// Lines that come now and then whatever the traffic is.
    pub(super) housekeeping: &'static [Template],
}

/// What starts an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// An HTTP request with this method.
    Http(&'static str),
    /// A message from the queue.
    Message,
}

/// One operation of a service.
#[derive(Debug)]
pub(super) struct Operation {
    /// Index into [`SERVICES`].
    pub(super) service: usize,
    /// Index into the service's operations.
    pub(super) slot: usize,
    pub(super) trigger: Trigger,
    pub(super) route: &'static str,
    /// Median of the service's own work.
    pub(super) work_ms: f64,
    /// Share of requests that fail by themselves on a good day.
    pub(super) failing: f64,
    pub(super) steps: &'static [Step],
    /// The line for a request that went well, and the share of requests that write it.
    pub(super) done: &'static str,
    pub(super) done_share: f64,
    /// The line for a request that failed here.
    pub(super) failed: &'static str,
}

/// What an operation does beside its own work, in order.
#[derive(Debug)]
pub(super) enum Step {
    /// A call without whose success the request fails.
    Needs(&'static Operation),
    /// A call whose failure only makes the answer poorer.
    Likes(&'static Operation),
    /// A statement on the database.
    Query(&'static Query),
    /// A message that this operation will take from the queue.
    Publish(&'static Operation),
}

/// A database statement.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) verb: &'static str,
    pub(super) table: &'static str,
    pub(super) work_ms: f64,
}

/// A kind of request that customers send, its share of all requests, and how many of them are traced
/// in ten seconds on average.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) operation: &'static Operation,
    pub(super) share: f64,
    pub(super) traced: f64,
}

pub(super) const DATABASE: &str = "postgres";
pub(super) const QUEUE: &str = "rabbitmq";
pub(super) const QUEUE_NAME: &str = "order-confirmations";
pub(super) const NAMESPACE: &str = "shop";
pub(super) const ENVIRONMENT: &str = "production";
/// A caller gives up after this long.
pub(super) const TIMEOUT_MS: f64 = 2_500.0;

pub(super) const FRONTEND: usize = 0;
pub(super) const CATALOGUE: usize = 1;
pub(super) const CART: usize = 2;
pub(super) const CHECKOUT: usize = 3;
pub(super) const PAYMENT: usize = 4;
pub(super) const SHIPPING: usize = 5;
pub(super) const RECOMMENDATION: usize = 6;
pub(super) const USER: usize = 7;
pub(super) const ORDERS: usize = 8;
pub(super) const MAILER: usize = 9;

impl Service {
    /// A container is killed when it uses this much memory.
    pub(super) fn memory_limit_mib(&self) -> f64 {
        2.3 * self.memory_mib
    }
}

const fn service(
    name: &'static str,
    pods: usize,
    version: &'static str,
    memory_mib: f64,
    operations: &'static [&'static Operation],
    housekeeping: &'static [Template],
) -> Service {
    Service { name, pods, version, memory_mib, uses_database: false, operations, housekeeping }
}

const fn with_database(service: Service) -> Service {
    Service { uses_database: true, ..service }
}

const fn info(text: &'static str) -> Template {
    Template { severity: Severity::Info, text }
}

const fn warn(text: &'static str) -> Template {
    Template { severity: Severity::Warn, text }
}

/// Every service, in the order of the constants above.
pub(super) static SERVICES: [Service; 10] = [
    service(
        "frontend",
        3,
        "5.12.0",
        310.0,
        &[&HOME, &PRODUCT, &ADD_TO_CART, &BUY, &SIGN_IN, &MY_ORDERS],
        &[info("session cache holds {n} entries"), warn("slow client {ip}: response body took {ms} ms")],
    ),
    with_database(service(
        "catalogue",
        3,
        "2.8.3",
        220.0,
        &[&LIST_PRODUCTS, &GET_PRODUCT],
        &[info("price list refreshed, {n} products"), info("image cache evicted {n} entries")],
    )),
    with_database(service(
        "cart",
        2,
        "1.19.1",
        160.0,
        &[&GET_CART, &ADD_ITEM],
        &[info("expired {n} abandoned carts")],
    )),
    service("checkout", 2, "4.2.0", 190.0, &[&PLACE_ORDER], &[info("idempotency keys pruned: {n}")]),
    with_database(service(
        "payment",
        3,
        "1.9.4",
        240.0,
        &[&CHARGE],
        &[info("gateway session renewed, token {token}"), info("settlement batch {n} queued")],
    )),
    with_database(service(
        "shipping",
        2,
        "3.0.7",
        150.0,
        &[&QUOTE, &LABEL],
        &[info("carrier rates reloaded in {ms} ms"), warn("carrier api slow: {ms} ms")],
    )),
    service("recommendation", 2, "0.14.2", 420.0, &[&RECOMMEND], &[info("embedding cache hit ratio {pct}%")]),
    with_database(service(
        "user",
        2,
        "3.4.1",
        180.0,
        &[&LOGIN, &GET_USER],
        &[info("password hash pool has {n} workers idle"), info("mail bounced for {email}")],
    )),
    with_database(service(
        "orders",
        2,
        "2.3.5",
        200.0,
        &[&CREATE_ORDER, &LIST_ORDERS],
        &[info("archived {n} orders")],
    )),
    service("mailer", 2, "1.4.0", 120.0, &[&CONFIRM], &[info("smtp pool holds {n} connections")]),
];

/// What customers ask for. The shares add up to 1.
pub(super) static ENTRIES: [Entry; 6] = [
    Entry { operation: &HOME, share: 0.34, traced: 3.0 },
    Entry { operation: &PRODUCT, share: 0.30, traced: 3.0 },
    Entry { operation: &ADD_TO_CART, share: 0.14, traced: 3.0 },
    Entry { operation: &BUY, share: 0.10, traced: 6.0 },
    Entry { operation: &SIGN_IN, share: 0.06, traced: 2.0 },
    Entry { operation: &MY_ORDERS, share: 0.06, traced: 2.5 },
];

/// The services that call `service`, directly or through others, nearest first.
#[cfg(test)]
pub(super) fn callers(service: usize) -> Vec<usize> {
    let mut found = vec![service];
    let mut next = 0;
    while next < found.len() {
        for (index, candidate) in SERVICES.iter().enumerate() {
            let calls = candidate.operations.iter().flat_map(|operation| operation.steps).any(|step| {
                matches!(step, Step::Needs(callee) | Step::Likes(callee) if callee.service == found[next])
            });
            if calls && !found.contains(&index) {
                found.push(index);
            }
        }
        next += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::{CHECKOUT, ENTRIES, FRONTEND, PAYMENT, SERVICES, callers};

    #[test]
    fn indices_agree_with_places() {
        for (index, service) in SERVICES.iter().enumerate() {
            assert!((2..=4).contains(&service.pods), "{}", service.name);
            for (slot, operation) in service.operations.iter().enumerate() {
                assert_eq!((operation.service, operation.slot), (index, slot), "{}", operation.route);
            }
        }
        let shares: f64 = ENTRIES.iter().map(|entry| entry.share).sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }

    #[test]
    fn payment_is_called_by_checkout_and_through_it_by_the_frontend() {
        assert_eq!(callers(PAYMENT), vec![CHECKOUT, FRONTEND]);
    }
}
