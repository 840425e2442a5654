//! Turns a credential into a [`Principal`].
//!
//! Invariant: only [`Authenticator::authenticate`] makes the principal of a connection, and every
//! way to fail looks the same from outside: an unknown user, a disabled one and a wrong password
//! give one text after the same work. What the reason was goes to the log.

mod principal;
pub(crate) mod private_file;
mod scram;
mod throttle;
mod ticket;
mod token;
mod users;

use std::{net::IpAddr, sync::Arc};

use secrecy::SecretString;
use tokio::sync::Semaphore;

pub use principal::{Principal, RoleName, TenantName, UserName};
pub(crate) use scram::hmac;
pub use scram::{Challenge, Exchange, Proof, Verifier};
pub use ticket::TicketSigner;
pub use token::TokenLimits;
pub use users::{User, UserStore};

/// What the tests of the doors need to log in, and to do it wrongly.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::{scram::tests::client_final, users::tests::store as user_store};
}

use crate::error::{Error, ErrorKind, Result};
use throttle::{Subject, Throttle};
use token::Tokens;

/// Plain passwords that are hashed at the same time; others wait.
const CONCURRENT_HASHES: usize = 4;

/// What a client shows to say who it is.
#[derive(Debug)]
pub enum Credential {
    /// A finished SCRAM exchange, begun by [`Authenticator::exchange`] for the same user.
    Scram { user: String, proof: Proof },
    /// A password in clear text, inside TLS or on loopback: Flight's handshake and basic auth.
    Password { user: String, password: SecretString },
    /// A token from [`Authenticator::issue_token`].
    Bearer(SecretString),
}

/// Knows the users, their tokens, and who failed lately.
#[derive(Debug)]
pub struct Authenticator {
    users: UserStore,
    tokens: Tokens,
    throttle: Throttle,
    hashing: Semaphore,
}

impl Authenticator {
    pub fn new(users: UserStore, limits: TokenLimits) -> Self {
        Self {
            users,
            tokens: Tokens::new(limits),
            throttle: Throttle::default(),
            hashing: Semaphore::new(CONCURRENT_HASHES),
        }
    }

    pub fn users(&self) -> &UserStore {
        &self.users
    }

    /// Begins a SCRAM exchange, for a user that may not exist. `endpoint` is what the channel can
    /// be bound to (see [`Exchange::new`]).
    pub fn exchange(&self, user: &str, endpoint: Option<Arc<[u8]>>) -> Result<Exchange> {
        Ok(Exchange::new(self.users.verifier(user).map_err(Error::internal)?, endpoint))
    }

    /// Decides who it is. After three failures from an address or for a user,
    /// each attempt waits: 0.1 s, doubled up to 2 s, until a minute passes without a failure.
    pub async fn authenticate(&self, credential: Credential, peer: IpAddr) -> Result<Principal> {
        match credential {
            Credential::Scram { user, proof } => {
                self.wait(&user, peer).await;
                let record = self.users.find(&user).map_err(Error::internal)?;
                let holds = record.as_ref().is_some_and(|user| proof.holds_for(user.verifier()));
                self.judge(&user, peer, record, holds)
            }
            Credential::Password { user, password } => {
                self.wait(&user, peer).await;
                // For an unknown user this is a mock: the same work, and it never matches.
                let verifier = self.users.verifier(&user).map_err(Error::internal)?;
                let matches = self.hash_and_compare(verifier.clone(), password).await?;
                let record = self.users.find(&user).map_err(Error::internal)?;
                let holds =
                    matches && record.as_ref().is_some_and(|user| *user.verifier() == verifier);
                self.judge(&user, peer, record, holds)
            }
            Credential::Bearer(token) => self.check_token(&token),
        }
    }

    /// A token for a principal that has just logged in.
    pub fn issue_token(&self, principal: &Principal) -> Result<SecretString> {
        let user = self.users.find(principal.name.as_str()).map_err(Error::internal)?;
        match user.filter(|user| is_as_at_login(user, principal)) {
            Some(user) => Ok(self.tokens.issue(user)),
            None => Err(Error::new(ErrorKind::InvalidAuthorization, "the user has changed")
                .with_hint("Log in again.")),
        }
    }

    pub fn revoke_token(&self, token: &SecretString) {
        self.tokens.revoke(token);
    }

    /// Whether the principal of a long connection could still log in and would be the same.
    pub fn is_current(&self, principal: &Principal) -> Result<bool> {
        let user = self.users.find(principal.name.as_str()).map_err(Error::internal)?;
        Ok(user.is_some_and(|user| is_as_at_login(&user, principal)))
    }

    async fn wait(&self, user: &str, peer: IpAddr) {
        let delay = self.throttle.delay(&[Subject::Peer(peer), Subject::User(user)]);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    async fn hash_and_compare(&self, verifier: Verifier, password: SecretString) -> Result<bool> {
        let _turn = self.hashing.acquire().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || verifier.matches(&password))
            .await
            .map_err(Error::internal)
    }

    fn judge(
        &self,
        user: &str,
        peer: IpAddr,
        record: Option<Arc<User>>,
        holds: bool,
    ) -> Result<Principal> {
        let reason = match record {
            Some(record) if holds && !record.is_disabled => return Ok(record.principal()),
            Some(_) if holds => "the user is disabled",
            Some(_) => "the password is wrong",
            None => "there is no such user",
        };
        self.throttle.record_failure(&[Subject::Peer(peer), Subject::User(user)]);
        Err(Error::new(
            ErrorKind::InvalidPassword,
            // Quoted and escaped: a claimed name must not write lines of its own into the log.
            format!("password authentication failed for user {:?}", shorten(user)),
        )
        .with_source(reason))
    }

    fn check_token(&self, token: &SecretString) -> Result<Principal> {
        let refused = |reason: &str| {
            Error::new(ErrorKind::InvalidAuthorization, "invalid or expired token")
                .with_hint("Log in again.")
                .with_source(reason)
        };
        let Some(granted) = self.tokens.find(token) else { return Err(refused("unknown token")) };
        let current = self.users.find(granted.name.as_str()).map_err(Error::internal)?;
        if current.is_none_or(|current| *current != *granted) {
            self.tokens.revoke(token);
            return Err(refused("the user was removed or changed since the token was issued"));
        }
        Ok(granted.principal())
    }
}

fn is_as_at_login(user: &User, principal: &Principal) -> bool {
    !user.is_disabled && user.principal() == *principal
}

/// Cuts a name as PostgreSQL does: a claimed name may have thousands of characters.
fn shorten(name: &str) -> &str {
    &name[..name.floor_char_boundary(63)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, Instant};

    use super::*;
    use users::tests::store;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn password(user: &str, password: &str) -> Credential {
        Credential::Password { user: user.into(), password: password.to_owned().into() }
    }

    fn scram(authenticator: &Authenticator, user: &str, password: &str) -> Credential {
        let exchange = authenticator.exchange(user, None).unwrap();
        let challenge = exchange.challenge("SCRAM-SHA-256", b"n,,n=,r=x").unwrap();
        let reply = scram::tests::client_final(password, "n=,r=x", challenge.message(), b"n,,");
        Credential::Scram {
            user: user.into(),
            proof: challenge.complete(reply.as_bytes()).unwrap(),
        }
    }

    #[tokio::test]
    async fn every_failure_looks_the_same() {
        let (_folder, users) = store(&[("alice", "pencil"), ("dora", "pencil")]);
        users.set_disabled(&UserName::parse("dora").unwrap(), true).unwrap();
        let authenticator = Authenticator::new(users, TokenLimits::default());

        let alice = authenticator.authenticate(password("alice", "pencil"), PEER).await.unwrap();
        assert_eq!(alice.name.as_str(), "alice");
        let credential = scram(&authenticator, "alice", "pencil");
        assert_eq!(authenticator.authenticate(credential, PEER).await.unwrap(), alice);

        // Each from its own address: the throttle is another test's.
        let mut host = 0;
        for (user, secret) in [
            ("alice", "wrong"),
            ("dora", "pencil"),
            ("nobody", "pencil"),
            ("no body", "pencil"),
            ("", "pencil"),
            ("role:admin", ""),
        ] {
            for credential in [password(user, secret), scram(&authenticator, user, secret)] {
                host += 1;
                let peer = IpAddr::from([10, 0, 0, host]);
                let error = authenticator.authenticate(credential, peer).await.unwrap_err();
                assert_eq!(error.kind, ErrorKind::InvalidPassword);
                assert_eq!(
                    error.message,
                    format!("password authentication failed for user \"{user}\"")
                );
                assert!(error.detail.is_none() && error.hint.is_none());
            }
        }
    }

    #[tokio::test]
    async fn a_proof_is_judged_by_the_record_of_now() {
        let (_folder, users) = store(&[("alice", "pencil"), ("bob", "pencil")]);
        let authenticator = Authenticator::new(users, TokenLimits::default());
        let Credential::Scram { proof, .. } = scram(&authenticator, "alice", "pencil") else {
            return;
        };
        let stolen = Credential::Scram { user: "bob".into(), proof };
        assert!(authenticator.authenticate(stolen, PEER).await.is_err());

        let late = scram(&authenticator, "alice", "pencil");
        let alice = UserName::parse("alice").unwrap();
        authenticator.users().set_password(&alice, &"rubber".to_owned().into()).unwrap();
        assert!(authenticator.authenticate(late, PEER).await.is_err());
    }

    #[tokio::test]
    async fn tokens_end_with_the_record_they_were_issued_for() {
        let (_folder, users) = store(&[("alice", "pencil"), ("bob", "pencil"), ("dora", "pencil")]);
        let authenticator = Authenticator::new(users, TokenLimits::default());
        for name in ["alice", "bob", "dora"] {
            let user = UserName::parse(name).unwrap();
            let principal =
                authenticator.authenticate(password(name, "pencil"), PEER).await.unwrap();
            let token = authenticator.issue_token(&principal).unwrap();
            let bearer = || Credential::Bearer(token.clone());
            assert_eq!(authenticator.authenticate(bearer(), PEER).await.unwrap(), principal);
            assert!(authenticator.is_current(&principal).unwrap());

            match name {
                "alice" => authenticator.users().remove(&user).unwrap(),
                "bob" => authenticator.users().set_disabled(&user, true).unwrap(),
                _ => {
                    let rubber = "rubber".to_owned().into();
                    authenticator.users().set_password(&user, &rubber).unwrap();
                }
            }
            let error = authenticator.authenticate(bearer(), PEER).await.unwrap_err();
            assert_eq!(error.message, "invalid or expired token", "{name}");
            assert_eq!(authenticator.issue_token(&principal).is_err(), name != "dora");
            assert_eq!(authenticator.is_current(&principal).unwrap(), name == "dora");
        }
    }

    #[tokio::test]
    async fn guessing_becomes_slow_for_known_and_unknown_users_alike() {
        let (_folder, users) = store(&[("alice", "pencil")]);
        let authenticator = Authenticator::new(users, TokenLimits::default());
        for (host, user) in [(1, "alice"), (2, "nobody")] {
            let peer = IpAddr::from([10, 0, 0, host]);
            for _ in 0..4 {
                let guess = scram(&authenticator, user, "guess");
                authenticator.authenticate(guess, peer).await.unwrap_err();
            }
            let guess = scram(&authenticator, user, "guess");
            let begin = Instant::now();
            authenticator.authenticate(guess, peer).await.unwrap_err();
            assert!(begin.elapsed() >= Duration::from_millis(200), "{user}");
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(shorten(&"é".repeat(40)).len(), 62);
        assert_eq!(shorten("alice"), "alice");
    }
}
