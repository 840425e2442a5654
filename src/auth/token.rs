use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::users::User;

/// How long bearer tokens live, and how many there may be. When there are too many, the one that
/// was used longest ago goes, first among the same user's.
#[derive(Debug, Clone, Copy)]
pub struct TokenLimits {
    pub lifetime: Duration,
    pub idle_timeout: Duration,
    pub per_user: usize,
    pub total: usize,
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(12 * 60 * 60),
            idle_timeout: Duration::from_secs(60 * 60),
            per_user: 100,
            total: 10_000,
        }
    }
}

type TokenHash = [u8; 32];

/// The bearer tokens of this process. A token is 256 random bits; only its hash is kept, so
/// neither memory nor the time of a look-up gives one away.
#[derive(Debug)]
pub(super) struct Tokens {
    limits: TokenLimits,
    grants: Mutex<HashMap<TokenHash, Grant>>,
}

#[derive(Debug)]
struct Grant {
    /// The user's record at login: when it changes, the token ends.
    user: Arc<User>,
    issued: Instant,
    used: Instant,
}

impl Tokens {
    pub fn new(limits: TokenLimits) -> Self {
        Self { limits, grants: Mutex::default() }
    }

    pub fn issue(&self, user: Arc<User>) -> SecretString {
        self.issue_at(user, Instant::now())
    }

    /// The user record that a token was issued for, if the token is alive.
    pub fn find(&self, token: &SecretString) -> Option<Arc<User>> {
        self.find_at(token, Instant::now())
    }

    pub fn revoke(&self, token: &SecretString) {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(token));
    }

    fn issue_at(&self, user: Arc<User>, now: Instant) -> SecretString {
        let random: [u8; 32] = rand::random();
        let token = SecretString::from(BASE64.encode(random));
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|_, grant| self.is_alive(grant, now));
        let of_user = grants.values().filter(|grant| grant.user.name == user.name).count();
        if of_user >= self.limits.per_user {
            drop_least_used(&mut grants, |grant| grant.user.name == user.name);
        } else if grants.len() >= self.limits.total {
            drop_least_used(&mut grants, |_| true);
        }
        grants.insert(hash(&token), Grant { user, issued: now, used: now });
        token
    }

    fn find_at(&self, token: &SecretString, now: Instant) -> Option<Arc<User>> {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.get_mut(&hash(token)).filter(|grant| self.is_alive(grant, now))?;
        grant.used = now;
        Some(Arc::clone(&grant.user))
    }

    fn is_alive(&self, grant: &Grant, now: Instant) -> bool {
        now.saturating_duration_since(grant.issued) < self.limits.lifetime
            && now.saturating_duration_since(grant.used) < self.limits.idle_timeout
    }
}

fn drop_least_used(grants: &mut HashMap<TokenHash, Grant>, among: impl Fn(&Grant) -> bool) {
    let oldest =
        grants.iter().filter(|(_, grant)| among(grant)).min_by_key(|(_, grant)| grant.used);
    if let Some(hash) = oldest.map(|(hash, _)| *hash) {
        grants.remove(&hash);
    }
}

fn hash(token: &SecretString) -> TokenHash {
    Sha256::digest(token.expose_secret()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::auth::users::tests::store;

    #[test]
    fn tokens_end_by_age_idleness_and_revocation() {
        let (_folder, users) = store(&[("alice", "pencil")]);
        let alice = users.find("alice").unwrap().unwrap();
        let tokens = Tokens::new(TokenLimits::default());
        let limits = tokens.limits;
        let start = Instant::now();

        let token = tokens.issue_at(Arc::clone(&alice), start);
        assert_eq!(token.expose_secret().len(), 43);
        assert!(tokens.find_at(&token, start).is_some());
        assert!(tokens.find_at(&token, start + limits.idle_timeout).is_none());

        let mut now = start;
        while now - start < limits.lifetime {
            assert!(tokens.find_at(&token, now).is_some());
            now += limits.idle_timeout / 2;
        }
        assert!(tokens.find_at(&token, now).is_none());

        let token = tokens.issue(alice);
        let altered = SecretString::from(format!("{}A", token.expose_secret()));
        assert!(tokens.find(&altered).is_none() && tokens.find(&token).is_some());
        tokens.revoke(&token);
        assert!(tokens.find(&token).is_none());
    }

    #[test]
    fn tokens_are_bounded_for_each_user_and_in_total() {
        let (_folder, users) = store(&[("alice", "a"), ("bob", "b"), ("carol", "c")]);
        let user = |name: &str| users.find(name).unwrap().unwrap();
        let tokens = Tokens::new(TokenLimits { per_user: 2, total: 3, ..TokenLimits::default() });
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);

        let first = tokens.issue_at(user("alice"), at(0));
        let second = tokens.issue_at(user("alice"), at(1));
        tokens.find_at(&first, at(2)).unwrap();
        let third = tokens.issue_at(user("alice"), at(3));
        let alive = |token, second| tokens.find_at(token, at(second)).is_some();
        assert!(!alive(&second, 4) && alive(&third, 5) && alive(&first, 6));

        let bob = tokens.issue_at(user("bob"), at(7));
        let carol = tokens.issue_at(user("carol"), at(8));
        assert!(!alive(&third, 9) && alive(&first, 9) && alive(&bob, 9) && alive(&carol, 9));
        assert_eq!(tokens.grants.lock().unwrap().len(), 3);
    }
}
