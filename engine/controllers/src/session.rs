//! One subscription after the other: leases are taken and renewed, work goes on while the engine is away, and outcomes are told until the
//! engine has had a chance to hear them.

use std::{
    collections::{HashMap, VecDeque},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use foreshock_core::types::Id;
use foreshock_proto::v1::{
    Ack, BusMessage, ControllerMessage, Lease, Nack, Outcome, OutcomeStatus, Progress,
    bus_message::Message as Said, controller_message::Message,
};
use foreshock_wire as wire;
use tokio::{sync::mpsc, time::Instant};
use tonic::{Status, Streaming};

use super::{Course, Ended, Hand, Order, config::FollowConfig};

/// Outcomes that are told again when the engine comes back.
const REMEMBERED: usize = 64;
/// Most of an outcome's words, characters.
const MOST_WORDS: usize = 4096;
/// When something that is not possible now is offered again, seconds.
const LATER_SECONDS: u32 = 30;
/// Between renewals while no lease says how long it lasts.
const RENEWAL: Duration = Duration::from_secs(5);
const SHORTEST_RENEWAL: Duration = Duration::from_millis(200);

/// What ended a subscription.
#[derive(Debug)]
pub enum Gone {
    /// The engine went away: worth another attempt.
    Away(Option<Status>),
    /// The engine wants nothing of us.
    Refused(String),
    /// It says what this version does not understand.
    Foreign(wire::Invalid),
}

/// What there is to tell people of.
#[derive(Debug)]
pub enum News<'a> {
    /// The engine welcomes us.
    Welcome {
        /// Its name for this subscription.
        session: &'a str,
    },
    /// A signal was granted, for this time.
    Granted {
        /// What is to be done.
        order: &'a Order,
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// A signal that we are at work on was granted to us again.
    Again {
        /// What is being done.
        order: &'a Order,
    },
    /// A signal is not to be carried out any more.
    Cancelled {
        /// Its id.
        signal: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// The work on a signal ended.
    Ended {
        /// What was to be done.
        order: &'a Order,
        /// What came of it.
        ended: &'a Ended,
    },
    /// The engine refuses a message of ours.
    Fault {
        /// The signal that it was about.
        signal: &'a str,
        /// The engine's code.
        code: &'a str,
        /// Why.
        message: &'a str,
    },
}

/// A controller between two ends of its engine.
pub struct Session {
    hand: Arc<dyn Hand>,
    follow: FollowConfig,
    /// Whether nothing may be changed, whatever the signals say.
    rehearsal: bool,
    at_work: HashMap<Id, Work>,
    reports: mpsc::UnboundedReceiver<Report>,
    report: mpsc::UnboundedSender<Report>,
    /// What was, or is to be, told; the latest last.
    told: VecDeque<Message>,
    renewal: Duration,
}

/// What comes from the threads at work, in its order.
enum Report {
    /// Something is about to be changed.
    Begun(Id),
    Ended(Id, Ended),
}

/// An order that is being carried out.
struct Work {
    order: Order,
    course: Arc<Course>,
}

impl Session {
    /// A session whose signals a hand carries out.
    pub fn new(hand: Arc<dyn Hand>, follow: FollowConfig, rehearsal: bool) -> Session {
        let (report, reports) = mpsc::unbounded_channel();
        Session {
            hand,
            follow,
            rehearsal,
            at_work: HashMap::new(),
            reports,
            report,
            told: VecDeque::new(),
            renewal: RENEWAL,
        }
    }

    /// One subscription, after its Hello, until it ends.
    pub async fn attend(
        &mut self,
        say: &mpsc::Sender<ControllerMessage>,
        heard: &mut Streaming<BusMessage>,
        news: &mut impl FnMut(News<'_>),
    ) -> Gone {
        // However much is heard meanwhile, leases are renewed in time.
        let mut renewed = Instant::now();
        let gone = loop {
            let due = renewed + self.renewal;
            let went_on = tokio::select! {
                biased;
                Some(report) = self.reports.recv() => match self.take_report(report, news) {
                    Some(message) => send(say, message).await,
                    None => ControlFlow::Continue(()),
                },
                () = tokio::time::sleep_until(due) => {
                    renewed = Instant::now();
                    self.renew(say).await
                }
                message = heard.message() => match message {
                    Ok(Some(message)) => self.hear(message, say, news).await,
                    Ok(None) => ControlFlow::Break(Gone::Away(None)),
                    Err(status) => ControlFlow::Break(Gone::Away(Some(status))),
                },
            };
            if let ControlFlow::Break(gone) = went_on {
                break gone;
            }
        };
        for work in self.at_work.values() {
            work.course.lost();
        }
        gone
    }

    /// Waits until it is worth another attempt, while the work goes on.
    pub async fn wait(&mut self, time: Duration, news: &mut impl FnMut(News<'_>)) {
        let until = Instant::now() + time;
        loop {
            tokio::select! {
                biased;
                Some(report) = self.reports.recv() => drop(self.take_report(report, news)),
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }

    /// The process ends: what was not begun is not begun. Gives the signals that are left under way, for whoever takes them next.
    pub fn end_all(&self) -> Vec<Id> {
        self.at_work.iter().filter(|(_, work)| work.course.end()).map(|(id, _)| *id).collect()
    }

    async fn hear(
        &mut self,
        message: BusMessage,
        say: &mpsc::Sender<ControllerMessage>,
        news: &mut impl FnMut(News<'_>),
    ) -> ControlFlow<Gone> {
        match message.message {
            Some(Said::Welcome(welcome)) => {
                news(News::Welcome { session: &welcome.session });
                self.lasts(welcome.lease_seconds);
                // The engine says which of them it has heard before.
                for message in self.told.clone() {
                    send(say, message).await?;
                }
            }
            Some(Said::Lease(lease)) => match self.take(lease, news) {
                Ok(None) => {}
                Ok(Some(ack)) => send(say, ack).await?,
                Err(invalid) => return ControlFlow::Break(Gone::Foreign(invalid)),
            },
            Some(Said::Cancel(cancel)) => {
                news(News::Cancelled { signal: &cancel.signal_id, reason: &cancel.reason });
                if let Ok(id) = wire::id(&cancel.signal_id)
                    && let Some(work) = self.at_work.get(&id)
                {
                    work.course.cancel(cancel.reason);
                }
            }
            Some(Said::Fault(fault)) if fault.code == "bad_hello" => {
                return ControlFlow::Break(Gone::Refused(fault.message));
            }
            Some(Said::Fault(fault)) => {
                let id = wire::id(&fault.signal_id).ok();
                if fault.code == "stale_token"
                    && let Some(work) = id.and_then(|id| self.at_work.get(&id))
                {
                    work.course.lost();
                }
                // What was told again had been heard.
                let heard = self.told.len();
                self.told.retain(|message| signal_of(message) != fault.signal_id);
                if self.told.len() == heard {
                    let (signal, code, message) = (&fault.signal_id, &fault.code, &fault.message);
                    news(News::Fault { signal, code, message });
                }
            }
            // Something that this version does not know.
            None => {}
        }
        ControlFlow::Continue(())
    }

    /// Takes a lease. The engine is told that work begins only when something is about to be changed: what is given back before that was not
    /// begun. Gives what it is told at once, where work began under an earlier lease.
    fn take(
        &mut self,
        lease: Lease,
        news: &mut impl FnMut(News<'_>),
    ) -> Result<Option<Message>, wire::Invalid> {
        let Lease { signal, fencing_token, lease_seconds, attempt } = lease;
        let signal =
            wire::signal_from(signal.ok_or(wire::Invalid::Missing("signal", "what the lease is of"))?)?;
        self.lasts(lease_seconds);
        let id = signal.id;
        // An earlier outcome is of an earlier lease.
        self.told.retain(|message| signal_of(message) != id.to_string());
        if let Some(work) = self.at_work.get_mut(&id) {
            let acted = work.course.renewed(fencing_token);
            work.order.fencing_token = fencing_token;
            news(News::Again { order: &work.order });
            return Ok(acted.then(|| ack(work)));
        }
        let rehearsal = self.rehearsal || signal.dry_run;
        let order = Order { signal, fencing_token, rehearsal };
        news(News::Granted { order: &order, attempt });
        let FollowConfig { every, within } = &self.follow;
        let report = self.report.clone();
        // Nobody listens once the process ends.
        let begin = Box::new(move || drop(report.send(Report::Begun(id))));
        let course = Arc::new(Course::new(fencing_token, every.std(), within.std(), begin));
        self.begin(order.clone(), course.clone());
        self.at_work.insert(id, Work { order, course });
        Ok(None)
    }

    fn begin(&self, order: Order, course: Arc<Course>) {
        let (hand, report) = (self.hand.clone(), self.report.clone());
        tokio::task::spawn_blocking(move || {
            let carried_out = catch_unwind(AssertUnwindSafe(|| hand.carry_out(&order, &course)));
            let ended = match carried_out {
                Ok(Ok(ended) | Err(ended)) => ended,
                Err(_) => Ended::Unknown("the controller broke off: this is a bug".to_string()),
            };
            report.send(Report::Ended(order.signal.id, ended)).ok();
        });
    }

    /// Takes note of a report; gives what the engine is told.
    fn take_report(&mut self, report: Report, news: &mut impl FnMut(News<'_>)) -> Option<Message> {
        match report {
            Report::Begun(id) => self.at_work.get(&id).map(ack),
            Report::Ended(id, ended) => Some(self.end(id, ended, news)),
        }
    }

    /// Takes note of an end; gives what the engine is told, which is remembered.
    fn end(&mut self, id: Id, ended: Ended, news: &mut impl FnMut(News<'_>)) -> Message {
        let work = self.at_work.remove(&id).expect("it is removed here alone, and reports once");
        news(News::Ended { order: &work.order, ended: &ended });
        let message = told(&work, ended);
        self.told.push_back(message.clone());
        if self.told.len() > REMEMBERED {
            self.told.pop_front();
        }
        message
    }

    async fn renew(&self, say: &mpsc::Sender<ControllerMessage>) -> ControlFlow<Gone> {
        for (id, work) in &self.at_work {
            if let Some((fencing_token, message)) = work.course.doing() {
                let signal_id = id.to_string();
                send(say, Message::Progress(Progress { signal_id, fencing_token, message })).await?;
            }
        }
        ControlFlow::Continue(())
    }

    fn lasts(&mut self, lease_seconds: u32) {
        self.renewal = (Duration::from_secs(lease_seconds.into()) / 3).max(SHORTEST_RENEWAL);
    }
}

/// Work begins.
fn ack(work: &Work) -> Message {
    let (signal_id, fencing_token) = (work.order.signal.id.to_string(), work.course.fencing_token());
    Message::Ack(Ack { signal_id, fencing_token })
}

/// An end as a message; its words as far as anybody reads.
fn told(work: &Work, ended: Ended) -> Message {
    let (signal_id, fencing_token) = (work.order.signal.id.to_string(), work.course.fencing_token());
    let outcome = |status: OutcomeStatus, message: String| {
        Message::Outcome(Outcome {
            signal_id: signal_id.clone(),
            fencing_token,
            status: status.into(),
            message,
        })
    };
    let nack = |reason: String, retry_after_seconds: u32| {
        Message::Nack(Nack { signal_id: signal_id.clone(), fencing_token, reason, retry_after_seconds })
    };
    let words: String = ended.words().chars().take(MOST_WORDS).collect();
    match ended {
        Ended::Done(_) => outcome(OutcomeStatus::Succeeded, words),
        Ended::Failed(_) => outcome(OutcomeStatus::Failed, words),
        Ended::Unknown(_) => outcome(OutcomeStatus::Unknown, words),
        Ended::Rehearsed(_) => outcome(OutcomeStatus::DryRun, words),
        Ended::Later(_) => nack(words, LATER_SECONDS),
        Ended::NotOurs(_) => nack(words, 0),
    }
}

fn signal_of(message: &Message) -> &str {
    match message {
        Message::Ack(Ack { signal_id, .. })
        | Message::Progress(Progress { signal_id, .. })
        | Message::Nack(Nack { signal_id, .. })
        | Message::Outcome(Outcome { signal_id, .. }) => signal_id,
        Message::Hello(_) => "",
    }
}

async fn send(say: &mpsc::Sender<ControllerMessage>, message: Message) -> ControlFlow<Gone> {
    match say.send(ControllerMessage { message: Some(message) }).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(Gone::Away(None)),
    }
}
