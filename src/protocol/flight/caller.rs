//! Who a call is from, and what its headers ask for.

use std::{net::IpAddr, sync::Arc};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::SecretString;
use tonic::{Request, metadata::MetadataMap};

use super::{FlightDoor, connection::Peer};
use crate::{
    auth::{Credential, Principal},
    error::{Error, ErrorKind, Result},
    protocol::standing::Standing,
    telemetry::Door,
};

/// Settings that a call may bring as headers: calls share no session to SET them in. Drivers send
/// such headers from their connection string.
const SETTINGS: &[&str] =
    &["application_name", "search_path", "statement_timeout", "timezone", "weir.pushdown"];

/// What a call says of itself, before any of it is believed.
pub(super) struct Claim {
    peer: Peer,
    credential: Option<Credential>,
    scope: Scope,
}

/// A caller that has proved who it is.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) principal: Principal,
    pub(super) scope: Scope,
    pub(super) peer: IpAddr,
}

/// What names and values mean for a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) database: String,
    pub(super) settings: Vec<(String, String)>,
}

impl Claim {
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self> {
        let peer = request
            .extensions()
            .get::<Peer>()
            .cloned()
            .ok_or_else(|| Error::internal("a call without a connection"))?;
        let headers = request.metadata();
        Ok(Self { peer, credential: credential(headers), scope: scope(headers)? })
    }

    /// Only a name and a password begin something new: a token must not prolong itself.
    pub(super) fn shows_password(&self) -> bool {
        matches!(self.credential, Some(Credential::Password { .. }))
    }

    /// Every way to fail has one text; the log has the reason.
    pub(super) async fn verify(self, door: &FlightDoor) -> Result<Caller> {
        let Some(credential) = self.credential else {
            return Err(refused("no credential that can be read"));
        };
        let principal =
            door.authenticator.authenticate(credential, self.peer.address()).await.map_err(
                |error| match error.kind {
                    ErrorKind::InvalidPassword | ErrorKind::InvalidAuthorization => refused(error),
                    _ => error,
                },
            )?;
        let caller = Caller { principal, scope: self.scope, peer: self.peer.address() };
        caller.standing(door).check()?;
        self.peer.take_place()?;
        Ok(caller)
    }
}

impl Caller {
    /// What must hold for this caller's rows to go on.
    pub(super) fn standing(&self, door: &FlightDoor) -> Standing {
        Standing {
            authenticator: Arc::clone(&door.authenticator),
            engine: Arc::clone(&door.engine),
            principal: Arc::new(self.principal.clone()),
            door: Door::Flight,
            peer: self.peer,
        }
    }
}

pub(super) fn refused(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidAuthorization, "authentication failed")
        .with_hint("Log in with user and password; a token ends after a while.")
        .with_source(reason)
}

/// RFC 7617 pads; Go's Flight client, on which ADBC stands, does not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `authorization: Basic …` or `authorization: Bearer …`.
fn credential(headers: &MetadataMap) -> Option<Credential> {
    let (scheme, value) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credential::Bearer(SecretString::from(value.trim().to_owned())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(value.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credential::Password { user: user.into(), password: password.to_owned().into() })
}

fn scope(headers: &MetadataMap) -> Result<Scope> {
    let text = |name: &str| match headers.get(name) {
        None => Ok(None),
        Some(value) => value.to_str().map(|value| Some(value.to_owned())).map_err(|_| {
            Error::new(ErrorKind::InvalidParameter, format!("header \"{name}\" is not ASCII"))
        }),
    };
    let database = match text("database")? {
        Some(database) => Some(database),
        None => text("catalog")?,
    };
    let mut settings = Vec::new();
    for name in SETTINGS {
        if let Some(value) = text(name)? {
            settings.push(((*name).to_owned(), value));
        }
    }
    Ok(Scope { database: database.unwrap_or_default(), settings })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use secrecy::ExposeSecret;

    use super::*;

    fn shown(header: &str) -> String {
        let mut headers = MetadataMap::new();
        headers.insert("authorization", header.parse().unwrap());
        match credential(&headers) {
            Some(Credential::Password { user, password }) => {
                format!("{user}/{}", password.expose_secret())
            }
            Some(Credential::Bearer(token)) => token.expose_secret().to_owned(),
            Some(Credential::Scram { .. }) | None => "none".to_owned(),
        }
    }

    #[test]
    fn credentials_are_read_strictly() {
        for (header, expected) in [
            ("Basic YWxpY2U6cGVuY2ls", "alice/pencil"),
            ("basic YWxpY2U6cGVuOmNpbA==", "alice/pen:cil"),
            ("Basic YWxpY2U6", "alice/"),
            ("Basic YWxpY2U=", "none"),
            ("Basic !", "none"),
            ("Basic //9hOmI=", "none"),
            ("Basic", "none"),
            ("Bearer abc", "abc"),
            ("bearer abc", "abc"),
            ("Digest abc", "none"),
            ("", "none"),
        ] {
            assert_eq!(shown(header), expected, "{header}");
        }
    }

    #[test]
    fn headers_name_the_database_and_known_settings() {
        let mut headers = MetadataMap::new();
        headers.insert("catalog", "sales".parse().unwrap());
        headers.insert("statement_timeout", "5s".parse().unwrap());
        headers.insert("role", "admin".parse().unwrap());
        let found = scope(&headers).unwrap();
        assert_eq!(found.database, "sales");
        assert_eq!(found.settings, [("statement_timeout".to_owned(), "5s".to_owned())]);
        headers.insert("database", "lake".parse().unwrap());
        assert_eq!(scope(&headers).unwrap().database, "lake");
    }
}
