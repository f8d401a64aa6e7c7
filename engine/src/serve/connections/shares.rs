//! Fair shares of the connections: who makes room when one too many comes. Knows neither sockets nor time.

use std::{
    collections::{BTreeMap, HashMap},
    future::poll_fn,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

/// Which connection makes room when one too many comes. The address with most connections loses one; the newcomer counts
/// for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The oldest on which nothing is being answered, else the oldest: for requests that take milliseconds. A newcomer is
    /// never refused.
    Oldest,
    /// The newest: for connections that are meant to last. A newcomer is refused unless its address keeps fewer than the
    /// one that loses.
    Newest,
}

/// What is counted of a server's connections.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Those that are open.
    pub open: Gauge<i64, AtomicI64>,
    /// Those that were closed at once.
    pub refused: Counter<u64, AtomicU64>,
    /// Those that made room for a newcomer.
    pub displaced: Counter<u64, AtomicU64>,
    /// Those whose peer sent or took nothing in time.
    pub timed_out: Counter<u64, AtomicU64>,
}

/// Every place that there is, and who holds which.
#[derive(Debug)]
pub(super) struct Shares {
    max: usize,
    eviction: Eviction,
    tally: Tally,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    /// The number of the next connection.
    next: u64,
    /// The connections of each group of addresses, oldest first.
    by_group: HashMap<Group, BTreeMap<u64, Arc<Place>>>,
}

/// The right to one connection, for as long as it is held. A displaced one is worth nothing.
#[derive(Debug)]
pub(super) struct Held {
    shares: Arc<Shares>,
    group: Group,
    number: u64,
    place: Arc<Place>,
}

/// What is known of one connection.
#[derive(Debug, Default)]
pub struct Place {
    displaced: AtomicBool,
    answering: AtomicBool,
    waker: AtomicWaker,
}

/// Addresses that share: one of IPv4, or the /64 of IPv6 that one site has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Group {
    V4(Ipv4Addr),
    V6(u64),
}

impl Shares {
    /// At most `max` connections; who makes room is said by `eviction`.
    pub(super) fn new(max: usize, eviction: Eviction, tally: Tally) -> Arc<Shares> {
        Arc::new(Shares { max, eviction, tally, taken: Mutex::default() })
    }

    /// A place for a newcomer; `None` where it is refused.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Held> {
        let group = Group::of(address);
        let mut taken = self.taken();
        if taken.count >= self.max {
            let Some((loser, number)) = taken.loser(group, self.eviction) else {
                self.tally.refused.inc();
                return None;
            };
            if let Some(place) = taken.remove(loser, number) {
                self.tally.open.dec();
                self.tally.displaced.inc();
                place.displace();
            }
        }
        let (number, place) = (taken.next, Arc::<Place>::default());
        taken.next += 1;
        taken.count += 1;
        taken.by_group.entry(group).or_default().insert(number, place.clone());
        self.tally.open.inc();
        Some(Held { shares: self.clone(), group, number, place })
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.taken().by_group.is_empty()
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Who makes room for one of `newcomer`.
    fn loser(&self, newcomer: Group, eviction: Eviction) -> Option<(Group, u64)> {
        let most = self.by_group.values().map(BTreeMap::len).max()?;
        let own = self.by_group.get(&newcomer);
        let count = own.map_or(0, BTreeMap::len) + 1;
        if let (true, Eviction::Oldest, Some(own)) = (count >= most, eviction, own) {
            return Some((newcomer, idlest(own)?.1));
        }
        let with_most = self.by_group.iter().filter(|(_, all)| all.len() == most);
        match eviction {
            Eviction::Oldest => {
                let idlest =
                    with_most.filter_map(|(group, all)| Some((idlest(all)?, *group))).min_by_key(|one| one.0);
                idlest.map(|((_, number), group)| (group, number))
            }
            Eviction::Newest if count >= most => None,
            Eviction::Newest => {
                let newest = with_most.filter_map(|(group, all)| Some((*group, *all.last_key_value()?.0)));
                newest.max_by_key(|(_, number)| *number)
            }
        }
    }

    fn remove(&mut self, group: Group, number: u64) -> Option<Arc<Place>> {
        let all = self.by_group.get_mut(&group)?;
        let place = all.remove(&number)?;
        if all.is_empty() {
            self.by_group.remove(&group);
        }
        self.count -= 1;
        Some(place)
    }
}

/// Whether something is being answered on it, and its number: of the oldest on which nothing is, else of the oldest.
fn idlest(all: &BTreeMap<u64, Arc<Place>>) -> Option<(bool, u64)> {
    all.iter().map(|(number, place)| (place.is_answering(), *number)).min()
}

impl Held {
    /// What others know of the connection too.
    pub(super) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    pub(super) fn tally(&self) -> &Tally {
        self.shares.tally()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.shares.taken().remove(self.group, self.number).is_some() {
            self.shares.tally.open.dec();
        }
    }
}

impl Place {
    /// Whether it made room for a newcomer. Wakes the task that asked last when it does.
    pub(super) fn poll_displaced(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.displaced.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns once it made room for a newcomer.
    pub(in crate::serve) async fn displaced(&self) {
        poll_fn(|context| self.poll_displaced(context)).await;
    }

    /// Whether a request that came whole is being answered on it.
    pub(in crate::serve) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Acquire)
    }

    /// Says whether a request that came whole is being answered on it.
    pub(in crate::serve) fn set_answering(&self, is_answering: bool) {
        self.answering.store(is_answering, Ordering::Release);
    }

    fn displace(&self) {
        self.displaced.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Group {
    fn of(address: IpAddr) -> Group {
        match address.to_canonical() {
            IpAddr::V4(address) => Group::V4(address),
            IpAddr::V6(address) => Group::V6((address.to_bits() >> 64) as u64),
        }
    }
}
