use std::time::{Duration, Instant};

use bytes::Bytes;
use subtle::ConstantTimeEq;

use super::{UserName, scram::hmac};
use crate::error::{Error, ErrorKind, Result};

const FORMAT_VERSION: u8 = 1;
const MAC_BYTES: usize = 32;
/// Version, expiry in milliseconds of this process, length of the name.
const HEADER_BYTES: usize = 1 + 8 + 1;

/// Signs what a client carries for us between two calls, such as a Flight ticket: bound to a
/// principal, and to an expiry. The key lives as long as the process; a restart ends all tickets.
///
/// A ticket is signed, not encrypted: the client can read what is in it.
pub struct TicketSigner {
    key: [u8; 32],
    epoch: Instant,
}

impl Default for TicketSigner {
    fn default() -> Self {
        Self { key: rand::random(), epoch: Instant::now() }
    }
}

impl TicketSigner {
    pub fn sign(&self, payload: &[u8], principal: &UserName, lifetime: Duration) -> Bytes {
        let expiry = self.epoch.elapsed().saturating_add(lifetime);
        let expiry = u64::try_from(expiry.as_millis()).unwrap_or(u64::MAX);
        let name = principal.as_str().as_bytes();
        let mut ticket = Vec::with_capacity(HEADER_BYTES + name.len() + payload.len() + MAC_BYTES);
        ticket.push(FORMAT_VERSION);
        ticket.extend_from_slice(&expiry.to_be_bytes());
        // A user name has at most 63 bytes.
        ticket.push(name.len() as u8);
        ticket.extend_from_slice(name);
        ticket.extend_from_slice(payload);
        ticket.extend_from_slice(&hmac(&self.key, &[&ticket]));
        ticket.into()
    }

    /// The payload of a ticket that we signed for this principal and that has not expired.
    pub fn verify(&self, ticket: &Bytes, principal: &UserName) -> Result<Bytes> {
        // One answer for a forged ticket and for somebody else's.
        let invalid = || Error::new(ErrorKind::InvalidAuthorization, "invalid ticket");
        let body = ticket.len().checked_sub(MAC_BYTES).ok_or_else(invalid)?;
        let (signed, mac) = ticket.split_at(body);
        if !bool::from(hmac(&self.key, &[signed]).ct_eq(mac)) {
            return Err(invalid());
        }
        let (header, rest) = signed.split_first_chunk::<HEADER_BYTES>().ok_or_else(invalid)?;
        let [FORMAT_VERSION, expiry @ .., name_bytes] = *header else { return Err(invalid()) };
        let name_bytes = usize::from(name_bytes);
        if rest.get(..name_bytes) != Some(principal.as_str().as_bytes()) {
            return Err(invalid());
        }
        if self.epoch.elapsed().as_millis() >= u128::from(u64::from_be_bytes(expiry)) {
            return Err(Error::new(ErrorKind::InvalidAuthorization, "ticket has expired")
                .with_hint("Ask for the flight info again."));
        }
        Ok(ticket.slice(HEADER_BYTES + name_bytes..body))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_our_own_fresh_tickets_hold() {
        let signer = TicketSigner::default();
        let alice = UserName::parse("alice").unwrap();
        let hour = Duration::from_secs(3600);
        for payload in [b"".as_slice(), b"SELECT 1", &[0; 10_000]] {
            let ticket = signer.sign(payload, &alice, hour);
            assert_eq!(signer.verify(&ticket, &alice).unwrap(), payload);
            assert!(TicketSigner::default().verify(&ticket, &alice).is_err());
            for name in ["bob", "alic", "alicee"] {
                let other = UserName::parse(name).unwrap();
                let error = signer.verify(&ticket, &other).unwrap_err();
                assert_eq!(error.message, "invalid ticket");
            }
        }
        let expired = signer.sign(b"SELECT 1", &alice, Duration::ZERO);
        assert_eq!(signer.verify(&expired, &alice).unwrap_err().message, "ticket has expired");
        let endless = signer.sign(b"x", &alice, Duration::MAX);
        assert_eq!(signer.verify(&endless, &alice).unwrap(), &b"x"[..]);
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let signer = TicketSigner::default();
        let alice = UserName::parse("alice").unwrap();
        let ticket = signer.sign(b"SELECT 1", &alice, Duration::from_secs(3600));
        for bit in 0..ticket.len() * 8 {
            let mut changed = ticket.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(signer.verify(&changed.into(), &alice).is_err(), "bit {bit}");
        }
        for length in 0..ticket.len() {
            assert!(signer.verify(&ticket.slice(..length), &alice).is_err(), "length {length}");
        }
    }
}
