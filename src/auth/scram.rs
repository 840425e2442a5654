//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802, RFC 7677, RFC 5929), in the
//! form that PostgreSQL speaks: the user comes from the startup packet, the name inside the
//! exchange is ignored.
//!
//! Invariant: neither the password nor anything that logs in by itself is ever kept. A [`Proof`]
//! exists only for a complete exchange; whether it is right, only the authenticator asks.

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, ErrorKind, Result};

/// How often a password is hashed. RFC 7677 asks for 15,000 where the client's speed allows it;
/// clients pay it once for each login, the server only for a plain password (Arrow Flight).
pub const ITERATIONS: u32 = 15_000;
/// The least that RFC 7677 allows, and PostgreSQL's default.
const MIN_ITERATIONS: u32 = 4_096;
/// A verifier written by hand can't make a login take minutes.
const MAX_ITERATIONS: u32 = 1_000_000;
const SALT_BYTES: usize = 16;
/// As PostgreSQL's `SCRAM_RAW_NONCE_LEN`.
const NONCE_BYTES: usize = 18;

pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

type Key = [u8; 32];

/// What the server keeps of a password: enough to check it, too little to log in with. Its text
/// form is PostgreSQL's, `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, so that a
/// verifier can move between the two.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl Verifier {
    pub fn new(password: &SecretString) -> Self {
        let salt: [u8; SALT_BYTES] = rand::random();
        Self::derive(password, &salt, ITERATIONS)
    }

    /// What an unknown user is asked with: the same at every try, another for every name, and
    /// nothing that a password could match.
    pub fn mock(secret: &[u8], user: &str) -> Self {
        let part = |label: &[u8]| hmac(secret, &[label, user.as_bytes()]);
        Self {
            iterations: ITERATIONS,
            salt: part(b"salt:")[..SALT_BYTES].to_vec(),
            stored_key: part(b"stored:"),
            server_key: part(b"server:"),
        }
    }

    /// Whether this is the password. Costs `iterations` hashes: not for an IO thread.
    pub fn matches(&self, password: &SecretString) -> bool {
        let theirs = Self::derive(password, &self.salt, self.iterations);
        theirs.stored_key.ct_eq(&self.stored_key).into()
    }

    fn derive(password: &SecretString, salt: &[u8], iterations: u32) -> Self {
        let salted = pbkdf2(&prepare(password.expose_secret()), salt, iterations);
        let client_key = hmac(&salted, &[b"Client Key"]);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }
}

impl FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_verifier(text).ok_or_else(|| {
            // The text itself stays out: it is a secret.
            Error::new(ErrorKind::Config, "invalid SCRAM-SHA-256 verifier").with_hint(format!(
                "It looks like SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, with \
                 {MIN_ITERATIONS} to {MAX_ITERATIONS} iterations."
            ))
        })
    }
}

fn parse_verifier(text: &str) -> Option<Verifier> {
    let rest = text.strip_prefix(SCRAM_SHA_256)?.strip_prefix('$')?;
    let (cost, keys) = rest.split_once('$')?;
    let (iterations, salt) = cost.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    let iterations = iterations.parse().ok()?;
    let salt = BASE64.decode(salt).ok()?;
    if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) || salt.is_empty() {
        return None;
    }
    Some(Verifier {
        iterations,
        salt,
        stored_key: decode_key(stored_key)?,
        server_key: decode_key(server_key)?,
    })
}

fn decode_key(text: &str) -> Option<Key> {
    BASE64.decode(text).ok()?.try_into().ok()
}

impl TryFrom<String> for Verifier {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Verifier> for String {
    fn from(verifier: Verifier) -> Self {
        format!(
            "{SCRAM_SHA_256}${}:{}${}:{}",
            verifier.iterations,
            BASE64.encode(&verifier.salt),
            BASE64.encode(verifier.stored_key),
            BASE64.encode(verifier.server_key)
        )
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// A login that is about to begin.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    endpoint: Option<Arc<[u8]>>,
}

impl Exchange {
    /// `endpoint` is the `tls-server-end-point` hash of the connection's certificate, when there
    /// is one to bind to.
    pub fn new(verifier: Verifier, endpoint: Option<Arc<[u8]>>) -> Self {
        Self { verifier, endpoint }
    }

    /// What to offer in AuthenticationSASL, best first.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        match self.endpoint {
            Some(_) => &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
            None => &[SCRAM_SHA_256],
        }
    }

    /// Answers the client's first message.
    pub fn challenge(self, mechanism: &str, client_first: &[u8]) -> Result<Challenge> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        self.challenge_with(mechanism, client_first, &BASE64.encode(nonce))
    }

    fn challenge_with(
        self,
        mechanism: &str,
        client_first: &[u8],
        server_nonce: &str,
    ) -> Result<Challenge> {
        if !self.mechanisms().contains(&mechanism) {
            return Err(violation("client selected an invalid SASL authentication mechanism"));
        }
        // The GS2 header: flag, name to act as, and then the part that is signed.
        let message = text(client_first)?;
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(authorization), Some(bare)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("The GS2 header is not complete."));
        };
        if !authorization.is_empty() {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "client uses authorization identity, but it is not supported",
            ));
        }
        let binding = self.bind(mechanism, flag)?;
        let client_nonce = client_nonce(bare)?;

        let nonce = format!("{client_nonce}{server_nonce}");
        let salt = BASE64.encode(&self.verifier.salt);
        let message = format!("r={nonce},s={salt},i={}", self.verifier.iterations);
        Ok(Challenge {
            verifier: self.verifier,
            binding: BASE64.encode(binding),
            nonce,
            client_first_bare: bare.to_owned(),
            message,
        })
    }

    /// Checks the flag of the GS2 header against what was offered and chosen, and gives what the
    /// final message must repeat in `c=`: the header, and the hash if there is one.
    fn bind(&self, mechanism: &str, flag: &str) -> Result<Vec<u8>> {
        let header = format!("{flag},,").into_bytes();
        match (mechanism == SCRAM_SHA_256_PLUS, flag, &self.endpoint) {
            (false, "n", _) | (false, "y", None) => Ok(header),
            // Somebody between us and the client took our offer out.
            (false, "y", Some(_)) => Err(Error::new(
                ErrorKind::InvalidAuthorization,
                "SCRAM channel binding negotiation error",
            )
            .with_detail(
                "The client supports SCRAM channel binding but thinks the server does not. \
                 However, this server does support channel binding.",
            )),
            (true, "p=tls-server-end-point", Some(endpoint)) => {
                Ok([header.as_slice(), endpoint].concat())
            }
            (true, other, Some(_)) if other.starts_with("p=") => {
                Err(violation("unsupported SCRAM channel-binding type"))
            }
            (true, _, _) => Err(malformed(
                "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include \
                 channel binding data.",
            )),
            (false, other, _) if other.starts_with("p=") => Err(malformed(
                "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message \
                 includes channel binding data.",
            )),
            (false, _, _) => Err(malformed("Unexpected channel-binding flag.")),
        }
    }
}

/// A login for which the client owes the final message.
#[derive(Debug)]
pub struct Challenge {
    verifier: Verifier,
    binding: String,
    nonce: String,
    client_first_bare: String,
    message: String,
}

impl Challenge {
    /// The server's first message, for AuthenticationSASLContinue.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Reads the client's final message. An error is a client that does not speak SCRAM; a wrong
    /// password is a [`Proof`] that does not hold.
    pub fn complete(self, client_final: &[u8]) -> Result<Proof> {
        let message = text(client_final)?;
        let (without_proof, proof) = message
            .rsplit_once(",p=")
            .ok_or_else(|| malformed("The proof is not the last attribute."))?;
        let proof = decode_key(proof).ok_or_else(|| malformed("Malformed proof."))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes
            .next()
            .and_then(|attribute| attribute.strip_prefix("c="))
            .ok_or_else(|| malformed("The channel binding is missing."))?;
        let nonce = attributes
            .next()
            .and_then(|attribute| attribute.strip_prefix("r="))
            .ok_or_else(|| malformed("The nonce is missing."))?;

        if !same(nonce, &self.nonce) {
            return Err(violation("invalid SCRAM response").with_detail("Nonce does not match."));
        }
        if !same(binding, &self.binding) {
            return Err(Error::new(
                ErrorKind::InvalidAuthorization,
                "SCRAM channel binding check failed",
            ));
        }

        let signed = format!("{},{},{without_proof}", self.client_first_bare, self.message);
        let mut client_key = hmac(&self.verifier.stored_key, &[signed.as_bytes()]);
        client_key.iter_mut().zip(proof).for_each(|(byte, proof)| *byte ^= proof);
        let stored_key: Key = Sha256::digest(client_key).into();
        let signature = hmac(&self.verifier.server_key, &[signed.as_bytes()]);
        Ok(Proof {
            holds: stored_key.ct_eq(&self.verifier.stored_key).into(),
            server_final: format!("v={}", BASE64.encode(signature)),
            verifier: self.verifier,
        })
    }
}

/// A complete exchange: what the client proved, and against which verifier.
#[derive(Debug)]
pub struct Proof {
    holds: bool,
    server_final: String,
    verifier: Verifier,
}

impl Proof {
    /// Whether the client knows the password of this very verifier.
    pub fn holds_for(&self, verifier: &Verifier) -> bool {
        self.holds && self.verifier == *verifier
    }

    /// The server's proof, for AuthenticationSASLFinal, and only after a successful login.
    pub fn server_final(&self) -> &str {
        &self.server_final
    }
}

fn client_nonce(bare: &str) -> Result<&str> {
    let mut attributes = bare.split(',');
    let first = attributes.next().unwrap_or_default();
    if first.starts_with("m=") {
        return Err(Error::new(
            ErrorKind::NotSupported,
            "client requires an unsupported SCRAM extension",
        ));
    }
    if !first.starts_with("n=") {
        return Err(malformed("The user name is missing."));
    }
    let nonce = attributes
        .next()
        .and_then(|attribute| attribute.strip_prefix("r="))
        .ok_or_else(|| malformed("The nonce is missing."))?;
    if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("Non-printable characters in SCRAM nonce."));
    }
    Ok(nonce)
}

fn text(message: &[u8]) -> Result<&str> {
    std::str::from_utf8(message).map_err(|_| malformed("The message is not UTF-8."))
}

fn malformed(detail: &str) -> Error {
    violation("malformed SCRAM message").with_detail(detail)
}

fn violation(message: &str) -> Error {
    Error::new(ErrorKind::ProtocolViolation, message)
}

fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// SASLprep; a password that it refuses is used as it is, as PostgreSQL does.
fn prepare(password: &str) -> Vec<u8> {
    match stringprep::saslprep(password) {
        Ok(prepared) if !prepared.is_empty() => prepared.as_bytes().to_vec(),
        _ => password.as_bytes().to_vec(),
    }
}

/// `Hi` of RFC 5802: PBKDF2 with HMAC-SHA-256 and one block.
fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> Key {
    let keyed = keyed(password);
    let next = |parts: &[&[u8]]| -> Key {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut block = next(&[salt, &1_u32.to_be_bytes()]);
    let mut result = block;
    for _ in 1..iterations {
        block = next(&[&block]);
        result.iter_mut().zip(block).for_each(|(byte, other)| *byte ^= other);
    }
    result
}

/// HMAC-SHA-256 over the parts.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// A key of any length becomes one block first (RFC 2104), which can't fail.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    Hmac::new(&block.into())
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::{collections::BTreeMap, sync::Mutex};

    use super::*;

    const ENDPOINT: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn secret(text: &str) -> SecretString {
        text.to_owned().into()
    }

    fn quick(password: &str) -> Verifier {
        Verifier::derive(&secret(password), b"salt-salt-salt-1", MIN_ITERATIONS)
    }

    /// The client's side, for tests that need one which misbehaves: the final message for a
    /// server's first one.
    pub(crate) fn client_final(
        password: &str,
        client_first_bare: &str,
        server_first: &str,
        binding: &[u8],
    ) -> String {
        let field = |name: &str| {
            server_first.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned()
        };
        let salt = BASE64.decode(field("s=")).unwrap();
        let iterations = field("i=").parse().unwrap();
        // Clients may remember this, and tests log in often.
        type Salted = BTreeMap<(String, Vec<u8>, u32), Key>;
        static SALTED: Mutex<Salted> = Mutex::new(Salted::new());
        let salted = *SALTED
            .lock()
            .unwrap()
            .entry((password.to_owned(), salt.clone(), iterations))
            .or_insert_with(|| pbkdf2(&prepare(password), &salt, iterations));
        let client_key = hmac(&salted, &[b"Client Key"]);
        let stored_key: Key = Sha256::digest(client_key).into();
        let without_proof = format!("c={},r={}", BASE64.encode(binding), field("r="));
        let signed = format!("{client_first_bare},{server_first},{without_proof}");
        let signature = hmac(&stored_key, &[signed.as_bytes()]);
        let proof: Vec<u8> =
            client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
        format!("{without_proof},p={}", BASE64.encode(proof))
    }

    fn exchange(endpoint: bool) -> Exchange {
        Exchange::new(quick("pencil"), endpoint.then(|| ENDPOINT.into()))
    }

    #[test]
    fn rfc_7677_example() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::derive(&secret("pencil"), &salt, 4096);
        let challenge = Exchange::new(verifier.clone(), None)
            .challenge_with(
                SCRAM_SHA_256,
                b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            )
            .unwrap();
        assert_eq!(
            challenge.message(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let proof = challenge
            .complete(
                b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            )
            .unwrap();
        assert!(proof.holds_for(&verifier));
        assert_eq!(proof.server_final(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn hmac_matches_rfc_4231() {
        // Test cases 2 and 6: a short key, and one longer than a block.
        for (key, data, expected) in [
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let hex: String =
                hmac(&key, &[data.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected);
        }
    }

    #[test]
    fn verifier_text_round_trips() {
        let verifier = quick("pencil");
        let text = String::from(verifier.clone());
        assert_eq!(text.parse::<Verifier>().unwrap(), verifier);
        assert!(!format!("{verifier:?}").contains(&BASE64.encode(verifier.server_key)));

        let (cost, keys) = text.strip_prefix("SCRAM-SHA-256$").unwrap().split_once('$').unwrap();
        let salt = cost.split_once(':').unwrap().1;
        for bad in [
            String::new(),
            "pencil".into(),
            text.replace("SCRAM-SHA-256", "SCRAM-SHA-1"),
            format!("SCRAM-SHA-256$4095:{salt}${keys}"),
            format!("SCRAM-SHA-256$1000001:{salt}${keys}"),
            format!("SCRAM-SHA-256$-1:{salt}${keys}"),
            format!("SCRAM-SHA-256$4096:${keys}"),
            format!("SCRAM-SHA-256$4096:{salt}$AAAA:AAAA"),
            format!("{text}$"),
        ] {
            assert!(bad.parse::<Verifier>().is_err(), "{bad}");
        }
    }

    #[test]
    fn verifiers_of_postgresql_15_are_understood() {
        // CREATE ROLE … PASSWORD U&'…'; SELECT rolpassword FROM pg_authid
        for (text, password) in [
            (
                concat!(
                    "SCRAM-SHA-256$4096:vNkqQTRXtA0XeElbifirNw==",
                    "$gh1sKt7giflz9j71orOO+0MkJiOrfjXnrjZ5zm4Omlk=:C5z7jdBluXB05pPsv1ZPyf/j+yYtDHpUcFVuV4832is="
                ),
                "pencil",
            ),
            (
                concat!(
                    "SCRAM-SHA-256$4096:qfoTHOVGC1n9Y0L+z0Llng==",
                    "$17qVnZW2h6gp/vrNkdXhxruZisTo9TlpkP4Z8tEbrT8=:+YNtVOvjuUzzE3yeb27ftYCB+Ios+ZQ9T4h5aZ6KPKE="
                ),
                "I\u{ad}X",
            ),
        ] {
            let verifier: Verifier = text.parse().unwrap();
            assert!(verifier.matches(&secret(password)));
            assert!(!verifier.matches(&secret("paper")));
            assert_eq!(String::from(verifier), text);
        }
    }

    #[test]
    fn plain_passwords_are_checked_after_saslprep() {
        // RFC 4013: soft hyphen maps to nothing, NFKC makes IX of the roman numeral.
        for (stored, tried, matches) in [
            ("pencil", "pencil", true),
            ("pencil", "Pencil", false),
            ("pencil", "", false),
            ("I\u{ad}X", "IX", true),
            ("\u{2168}", "IX", true),
            // Refused by SASLprep: compared as it is.
            ("\u{7}bell", "\u{7}bell", true),
            ("\u{7}bell", "bell", false),
        ] {
            assert_eq!(quick(stored).matches(&secret(tried)), matches, "{stored:?} {tried:?}");
        }
    }

    #[test]
    fn mock_is_stable_for_a_name_and_differs_between_names() {
        let mock = Verifier::mock(b"secret", "alice");
        assert_eq!(mock, Verifier::mock(b"secret", "alice"));
        assert_ne!(mock.salt, Verifier::mock(b"secret", "bob").salt);
        assert_ne!(mock.salt, Verifier::mock(b"other", "alice").salt);
        let real = Verifier::new(&secret("pencil"));
        assert_eq!((mock.salt.len(), mock.iterations), (real.salt.len(), real.iterations));
    }

    #[test]
    fn exchanges_with_every_binding() {
        let endpoint = [b"p=tls-server-end-point,,", ENDPOINT].concat();
        let other = [b"p=tls-server-end-point,,".as_slice(), b"another certificate"].concat();
        let plus = SCRAM_SHA_256_PLUS;
        for (offered, mechanism, header, binding, outcome) in [
            (false, SCRAM_SHA_256, "n,,", b"n,,".to_vec(), "holds"),
            (false, SCRAM_SHA_256, "y,,", b"y,,".to_vec(), "holds"),
            (true, SCRAM_SHA_256, "n,,", b"n,,".to_vec(), "holds"),
            (true, plus, "p=tls-server-end-point,,", endpoint.clone(), "holds"),
            (true, SCRAM_SHA_256, "y,,", b"y,,".to_vec(), "28000"),
            (true, plus, "p=tls-server-end-point,,", other, "28000"),
            (true, plus, "p=tls-server-end-point,,", b"n,,".to_vec(), "28000"),
            (false, SCRAM_SHA_256, "n,,", b"y,,".to_vec(), "28000"),
            (true, plus, "p=tls-unique,,", endpoint.clone(), "08P01"),
            (true, plus, "n,,", b"n,,".to_vec(), "08P01"),
            (true, plus, "y,,", b"y,,".to_vec(), "08P01"),
            (true, SCRAM_SHA_256, "p=tls-server-end-point,,", endpoint.clone(), "08P01"),
            (false, plus, "p=tls-server-end-point,,", endpoint.clone(), "08P01"),
            (false, SCRAM_SHA_256, "p=tls-server-end-point,,", endpoint, "08P01"),
            (false, "SCRAM-SHA-1", "n,,", b"n,,".to_vec(), "08P01"),
            (false, SCRAM_SHA_256, "n,a=admin,", b"n,a=admin,".to_vec(), "0A000"),
            (false, SCRAM_SHA_256, "x,,", b"x,,".to_vec(), "08P01"),
        ] {
            let bare = "n=,r=client-nonce";
            let result = exchange(offered)
                .challenge(mechanism, format!("{header}{bare}").as_bytes())
                .and_then(|challenge| {
                    let reply = client_final("pencil", bare, challenge.message(), &binding);
                    challenge.complete(reply.as_bytes())
                });
            let got = match result {
                Ok(proof) if proof.holds_for(&quick("pencil")) => "holds",
                Ok(_) => "wrong",
                Err(error) => error.kind.sqlstate(),
            };
            assert_eq!(got, outcome, "{mechanism} {header}");
        }
    }

    #[test]
    fn malformed_first_messages_are_refused() {
        for message in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=",
            "n,,n=u",
            "n,,r=x",
            "n,,n=,r=",
            "n,,n=,r=\u{7f}",
            "n,,n=,r=ü",
            "n,,n=,x=1",
            "n,,m=1,n=,r=x",
            "\u{e9},,n=,r=x",
        ] {
            assert!(exchange(false).challenge(SCRAM_SHA_256, message.as_bytes()).is_err());
        }
        assert!(exchange(false).challenge(SCRAM_SHA_256, b"n,,n=\xff,r=x").is_err());
    }

    #[test]
    fn final_messages_must_repeat_nonce_and_binding() {
        let bare = "n=,r=client-nonce";
        let refused = |change: &dyn Fn(&str) -> String| {
            let challenge =
                exchange(false).challenge(SCRAM_SHA_256, format!("n,,{bare}").as_bytes()).unwrap();
            let good = client_final("pencil", bare, challenge.message(), b"n,,");
            challenge.complete(change(&good).as_bytes()).map(|proof| proof.holds)
        };
        assert!(refused(&str::to_owned).unwrap());
        // An extension may stand between nonce and proof; it is signed, so the proof breaks.
        assert!(!refused(&|good| good.replace(",p=", ",x=1,p=")).unwrap());
        let server_half_dropped = |good: &str| {
            let (head, proof) = good.split_once(",p=").unwrap();
            let cut = head.find("client-nonce").unwrap() + "client-nonce".len();
            format!("{},p={proof}", &head[..cut])
        };
        for change in [
            &server_half_dropped as &dyn Fn(&str) -> String,
            &|good| good.replace("client-nonce", "client-nonsense"),
            &|good| good.replace("c=biws", "c=eSws"),
            &|good| good.replace("c=biws", "d=biws"),
            &|good| good.replace(",r=", ",s="),
            &|good| good.split_once(",p=").unwrap().0.to_owned(),
            &|good| format!("{}AAAA", good.split_once(",p=").unwrap().0),
            &|good| good.replace(",p=", ",p=!"),
            &|good| format!("{good}AAAA"),
            &|_| String::new(),
        ] {
            assert!(refused(change).is_err());
        }
    }

    #[test]
    fn a_proof_does_not_hold_for_another_verifier() {
        let bare = "n=,r=x";
        for (password, against, holds) in
            [("pencil", "pencil", true), ("wrong", "pencil", false), ("pencil", "other", false)]
        {
            let challenge = exchange(false).challenge(SCRAM_SHA_256, b"n,,n=,r=x").unwrap();
            let reply = client_final(password, bare, challenge.message(), b"n,,");
            let proof = challenge.complete(reply.as_bytes()).unwrap();
            assert_eq!(proof.holds_for(&quick(against)), holds, "{password} {against}");
        }
    }
}
