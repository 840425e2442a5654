use std::{net::IpAddr, sync::Arc};

use crate::{
    auth::{Authenticator, Principal},
    engine::Engine,
    error::{Error, ErrorKind, Result},
    policy::Policy,
    telemetry::Door,
};

/// What lets a logged-in client stay: its user is as it was at login, and the policy lets it in.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) engine: Arc<Engine>,
    pub(super) principal: Arc<Principal>,
    pub(super) door: Door,
    pub(super) peer: IpAddr,
}

impl Standing {
    /// Looks at the files of users and policy as they were within the last second.
    pub(super) fn check(&self) -> Result<()> {
        if !self.authenticator.is_current(&self.principal)? {
            return Err(Error::new(
                ErrorKind::InvalidAuthorization,
                "the user was removed or changed since login",
            )
            .with_hint("Log in again."));
        }
        if self.engine.policy.may_connect(&self.principal, self.door, self.peer) {
            return Ok(());
        }
        let (user, peer) = (&self.principal.name, self.peer.to_canonical());
        Err(Error::new(
            ErrorKind::InvalidAuthorization,
            format!("user \"{user}\" may not connect from {peer}"),
        ))
    }
}
