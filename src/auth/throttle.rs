use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures that cost nothing: people mistype.
const FREE_FAILURES: u32 = 3;
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Also the most by which an attacker can delay the login of somebody else.
const MAX_DELAY: Duration = Duration::from_secs(2);
/// Failures are forgotten when none followed for this long.
const MEMORY: Duration = Duration::from_secs(60);
/// Entries in each of the two generations.
const CAPACITY: usize = 8_192;

/// Slows down guessing: after three failures from an address, or for a user name, each attempt
/// waits longer, 0.1 s doubled up to 2 s, until a minute passes without a failure.
///
/// A name counts whether or not it exists, so that waiting says nothing. Memory is bounded: when
/// the young generation is full it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
pub struct Throttle {
    hasher: RandomState,
    generations: Mutex<Generations>,
}

/// Who failed.
#[derive(Debug, Clone, Copy, Hash)]
pub enum Subject<'a> {
    Peer(IpAddr),
    User(&'a str),
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<u64, Failures>,
    old: HashMap<u64, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Throttle {
    /// How long an attempt waits before it is judged.
    pub fn delay(&self, subjects: &[Subject<'_>]) -> Duration {
        self.delay_at(subjects, Instant::now())
    }

    pub fn record_failure(&self, subjects: &[Subject<'_>]) {
        self.record_failure_at(subjects, Instant::now());
    }

    fn delay_at(&self, subjects: &[Subject<'_>], now: Instant) -> Duration {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        subjects
            .iter()
            .filter_map(|subject| generations.find(self.key(*subject), now))
            .map(|failures| delay_after(failures.count))
            .max()
            .unwrap_or_default()
    }

    fn record_failure_at(&self, subjects: &[Subject<'_>], now: Instant) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects {
            let key = self.key(*subject);
            let count = generations.find(key, now).map_or(0, |failures| failures.count);
            if generations.young.len() >= CAPACITY {
                generations.old = std::mem::take(&mut generations.young);
            }
            let failures = Failures { count: count.saturating_add(1), last: now };
            generations.young.insert(key, failures);
        }
    }

    /// A keyed hash instead of the name: names of clients are long and many. Two that collide
    /// share a delay.
    fn key(&self, subject: Subject<'_>) -> u64 {
        self.hasher.hash_one(match subject {
            Subject::Peer(peer) => Subject::Peer(network(peer)),
            Subject::User(_) => subject,
        })
    }
}

impl Generations {
    fn find(&self, key: u64, now: Instant) -> Option<Failures> {
        let failures = self.young.get(&key).or_else(|| self.old.get(&key))?;
        (now.saturating_duration_since(failures.last) < MEMORY).then_some(*failures)
    }
}

fn delay_after(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE_FAILURES) else { return Duration::ZERO };
    FIRST_DELAY.saturating_mul(1 << doublings.min(16)).min(MAX_DELAY)
}

/// One IPv6 customer has a whole /64 to call from.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn peer(text: &str) -> Subject<'static> {
        Subject::Peer(text.parse().unwrap())
    }

    #[test]
    fn delay_grows_and_is_forgotten() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let subjects = [peer("10.0.0.1"), Subject::User("alice")];
        let mut delays = Vec::new();
        for _ in 0..10 {
            delays.push(throttle.delay_at(&subjects, now).as_millis());
            throttle.record_failure_at(&subjects, now);
        }
        assert_eq!(delays, [0, 0, 0, 100, 200, 400, 800, 1600, 2000, 2000]);

        // Either the address or the name is enough.
        for (subject, is_delayed) in [
            (peer("10.0.0.1"), true),
            (peer("::ffff:10.0.0.1"), true),
            (peer("10.0.0.2"), false),
            (Subject::User("alice"), true),
            (Subject::User("bob"), false),
        ] {
            assert_eq!(!throttle.delay_at(&[subject], now).is_zero(), is_delayed, "{subject:?}");
        }
        assert!(throttle.delay_at(&subjects, now + MEMORY).is_zero());
    }

    #[test]
    fn one_ipv6_network_is_one_peer() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for host in 0..5 {
            throttle.record_failure_at(&[peer(&format!("2001:db8::{host}"))], now);
        }
        assert!(!throttle.delay_at(&[peer("2001:db8::ffff")], now).is_zero());
        assert!(throttle.delay_at(&[peer("2001:db8:0:1::1")], now).is_zero());
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..3 * CAPACITY {
            throttle.record_failure_at(&[Subject::User(&number.to_string())], now);
        }
        let generations = throttle.generations.lock().unwrap();
        assert!(generations.young.len() <= CAPACITY && generations.old.len() <= CAPACITY);
    }
}
