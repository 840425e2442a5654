use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering},
};

use subtle::ConstantTimeEq;

use super::Session;
use crate::error::{Error, ErrorKind, Result};

/// What a client shows to cancel another connection's statement (PostgreSQL manual, "Canceling
/// Requests in Progress").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelKey {
    pub process: i32,
    pub secret: Vec<u8>,
}

/// The sessions that are open, by the process number that their clients know.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Mutex<HashMap<i32, Entry>>>);

#[derive(Debug)]
struct Entry {
    secret: Vec<u8>,
    session: Weak<Session>,
}

/// A session's entry; dropping it removes the entry.
#[derive(Debug)]
pub struct Registered {
    sessions: Sessions,
    pub key: CancelKey,
}

impl Sessions {
    /// With a secret of as many bytes as the client's protocol has room for.
    pub fn register(&self, session: &Arc<Session>, secret_bytes: usize) -> Result<Registered> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Random numbers: a guess must not hit, nor a count of sessions show.
        let process = (0..100)
            .map(|_| rand::random_range(1..i32::MAX))
            .find(|process| !entries.contains_key(process))
            .ok_or_else(|| Error::new(ErrorKind::TooManyConnections, "no free process number"))?;
        session.process.store(process, Ordering::Relaxed);
        let secret: Vec<u8> = (0..secret_bytes).map(|_| rand::random()).collect();
        let session = Arc::downgrade(session);
        entries.insert(process, Entry { secret: secret.clone(), session });
        Ok(Registered { sessions: self.clone(), key: CancelKey { process, secret } })
    }

    /// Cancels what that session runs now. A wrong key does nothing, and tells nothing.
    pub fn cancel(&self, process: i32, secret: &[u8]) {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.get(&process) else { return };
        if !bool::from(entry.secret.as_slice().ct_eq(secret)) {
            return;
        }
        let session = entry.session.upgrade();
        drop(entries);
        if let Some(session) = session {
            session.cancel();
        }
    }

    /// Cancels what every session runs: the server is shutting down and waits no longer.
    pub fn cancel_all(&self) {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions: Vec<_> = entries.values().filter_map(|e| e.session.upgrade()).collect();
        drop(entries);
        sessions.iter().for_each(|session| session.cancel());
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut entries = self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&self.key.process);
    }
}
