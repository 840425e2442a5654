//! What a client carries for us from one call to the next.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use arrow::datatypes::Schema;
use bytes::Bytes;
use prost::Message;

use super::caller::{Caller, Scope};
use crate::{
    auth::TicketSigner,
    error::{Error, ErrorKind, Result},
};

/// From GetFlightInfo to DoGet.
const TICKET_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Of a prepared statement's handle; as long as a token may live.
pub(super) const HANDLE_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// The first byte of what is signed: one can't be used as the other.
const TICKET: u8 = b'T';
const HANDLE: u8 = b'H';

/// A statement with everything that it means, so that no server needs to remember it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Carried {
    #[prost(string, tag = "1")]
    pub(super) sql: String,
    #[prost(string, tag = "2")]
    pub(super) database: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) settings: Vec<CarriedSetting>,
    /// One row, as an Arrow IPC stream; empty: none were bound.
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) parameters: Bytes,
    /// Of the result's schema that the client was told of; only in tickets.
    #[prost(fixed64, tag = "5")]
    pub(super) schema_hash: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CarriedSetting {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl Carried {
    pub(super) fn new(sql: String, scope: &Scope) -> Self {
        let settings = scope.settings.iter().cloned();
        Self {
            sql,
            database: scope.database.clone(),
            settings: settings.map(|(name, value)| CarriedSetting { name, value }).collect(),
            ..Self::default()
        }
    }

    pub(super) fn scope(&self) -> Scope {
        let settings = self.settings.iter();
        Scope {
            database: self.database.clone(),
            settings: settings.map(|s| (s.name.clone(), s.value.clone())).collect(),
        }
    }
}

/// Signs and verifies; a restart ends all that was signed.
#[derive(Default)]
pub(super) struct Tickets(TicketSigner);

impl Tickets {
    pub(super) fn ticket(&self, carried: &Carried, caller: &Caller) -> Bytes {
        self.sign(TICKET, carried, caller, TICKET_LIFETIME)
    }

    pub(super) fn redeem_ticket(&self, ticket: &Bytes, caller: &Caller) -> Result<Carried> {
        self.verify(TICKET, ticket, caller)
    }

    pub(super) fn handle(&self, carried: &Carried, caller: &Caller) -> Bytes {
        self.sign(HANDLE, carried, caller, HANDLE_LIFETIME)
    }

    /// 26000 for whatever is not a living handle of this caller.
    pub(super) fn redeem_handle(&self, handle: &Bytes, caller: &Caller) -> Result<Carried> {
        self.verify(HANDLE, handle, caller).map_err(|error| {
            Error::new(ErrorKind::InvalidStatementName, "prepared statement does not exist")
                .with_hint("Prepare it again.")
                .with_source(error)
        })
    }

    fn sign(&self, kind: u8, carried: &Carried, caller: &Caller, lifetime: Duration) -> Bytes {
        let mut payload = vec![kind];
        payload.extend_from_slice(&carried.encode_to_vec());
        self.0.sign(&payload, &caller.principal.name, lifetime)
    }

    fn verify(&self, kind: u8, signed: &Bytes, caller: &Caller) -> Result<Carried> {
        let mut payload = self.0.verify(signed, &caller.principal.name)?;
        if payload.is_empty() || payload.split_to(1)[0] != kind {
            return Err(Error::new(ErrorKind::InvalidAuthorization, "invalid ticket"));
        }
        // We signed it, so we wrote it.
        Carried::decode(payload).map_err(Error::internal)
    }
}

/// Tells two schemas apart: their names, types, order and metadata. It holds within this process, as
/// the signature does.
pub(super) fn schema_hash(schema: &Schema) -> u64 {
    let mut hasher = DefaultHasher::new();
    schema.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;
    use crate::auth::{Principal, TenantName, UserName};

    fn caller(name: &str) -> Caller {
        let principal = Principal {
            name: UserName::parse(name).unwrap(),
            roles: Vec::new(),
            tenant: TenantName::parse("acme").unwrap(),
            attributes: BTreeMap::new(),
        };
        Caller { principal, scope: Scope::default(), peer: [127, 0, 0, 1].into() }
    }

    #[test]
    fn tickets_and_handles_hold_for_their_principal_and_their_purpose() {
        let tickets = Tickets::default();
        let (alice, bob) = (caller("alice"), caller("bob"));
        let scope = Scope {
            database: "sales".into(),
            settings: vec![("statement_timeout".into(), "5s".into())],
        };
        let carried = Carried::new("SELECT 1".into(), &scope);
        assert_eq!(carried.scope(), scope);

        let ticket = tickets.ticket(&carried, &alice);
        let handle = tickets.handle(&carried, &alice);
        assert_eq!(tickets.redeem_ticket(&ticket, &alice).unwrap(), carried);
        assert_eq!(tickets.redeem_handle(&handle, &alice).unwrap(), carried);

        let expired = tickets.sign(TICKET, &carried, &alice, Duration::ZERO);
        for (ticket, caller, message) in [
            (&ticket, &bob, "invalid ticket"),
            (&handle, &alice, "invalid ticket"),
            (&Bytes::new(), &alice, "invalid ticket"),
            (&expired, &alice, "ticket has expired"),
        ] {
            assert_eq!(tickets.redeem_ticket(ticket, caller).unwrap_err().message, message);
        }
        for (handle, caller) in [(&handle, &bob), (&ticket, &alice), (&expired, &alice)] {
            let error = tickets.redeem_handle(handle, caller).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidStatementName);
        }
    }
}
