use std::{net::SocketAddr, path::PathBuf};

use toml::de::DeTable;

use super::{
    found::File,
    kinds::AllowList,
    mistakes::{Mistake, Place},
    reader::{Reader, Table},
    secrets,
    sections::{FlightSection, HttpSection, PostgresSection},
};

/// One address of the Postgres wire door.
#[derive(Debug, Clone)]
pub struct PostgresListener {
    pub address: SocketAddr,
    pub tls: Option<TlsConfig>,
    /// Refuse clients that do not use TLS; only where there is TLS.
    pub requires_tls: bool,
    /// Who may connect; empty: everybody.
    pub allowed_ips: AllowList,
}

/// One address of the Flight SQL door.
#[derive(Debug, Clone)]
pub struct FlightListener {
    pub address: SocketAddr,
    pub tls: Option<TlsConfig>,
    pub allowed_ips: AllowList,
}

/// One address of the operator's door.
#[derive(Debug, Clone)]
pub struct HttpListener {
    pub address: SocketAddr,
    pub allowed_ips: AllowList,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Each client must show a certificate that one of these authorities signed.
    pub client_ca: Option<PathBuf>,
}

/// Every listener that is not off.
pub(super) struct Doors {
    pub(super) postgres: Vec<PostgresListener>,
    pub(super) flight: Vec<FlightListener>,
    pub(super) http: Vec<HttpListener>,
}

impl Doors {
    pub(super) fn read(reader: &mut Reader<'_>, file: &File, root: &DeTable<'_>) -> Self {
        let mut taken = Vec::new();
        let earlier = reader.mistakes.len();
        let postgres: Vec<_> = reader
            .sections(file, root, &PostgresSection::SECTION)
            .iter()
            .filter_map(|table| postgres(reader, table, &mut taken))
            .collect();
        let flight: Vec<_> = reader
            .sections(file, root, &FlightSection::SECTION)
            .iter()
            .filter_map(|table| flight(reader, table, &mut taken))
            .collect();
        let http = reader
            .sections(file, root, &HttpSection::SECTION)
            .iter()
            .filter_map(|table| http(reader, table, &mut taken))
            .collect();
        if postgres.is_empty() && flight.is_empty() && reader.mistakes.len() == earlier {
            let message =
                "every door for queries is off, expected [postgres] or [flight] to listen";
            reader.mistakes.push(Mistake::new(file.whole(), message));
        }
        Self { postgres, flight, http }
    }
}

fn postgres(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    taken: &mut Vec<Taken>,
) -> Option<PostgresListener> {
    let section = PostgresSection::read(reader, table)?;
    let address = section.listen?;
    claim(reader, table, address, taken);
    let files = (section.tls_cert, section.tls_key, section.tls_client_ca);
    let tls = tls(reader, table, files);
    if section.require_tls && tls.is_none() {
        let message = "\"postgres.require_tls\" is set, but there is no certificate";
        let place = reader.place_of(table, "require_tls");
        reader.mistakes.push(Mistake::new(place, message).with_hint("give tls_cert and tls_key"));
    }
    if !address.ip().is_loopback() && !section.require_tls {
        reader.warnings.push(format!(
            "the Postgres door on {address} takes clients without TLS: rows and passwords can be \
             read on the way"
        ));
    }
    Some(PostgresListener {
        address,
        tls,
        requires_tls: section.require_tls,
        allowed_ips: section.allowed_ips,
    })
}

fn flight(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    taken: &mut Vec<Taken>,
) -> Option<FlightListener> {
    let section = FlightSection::read(reader, table)?;
    let address = section.listen?;
    claim(reader, table, address, taken);
    let files = (section.tls_cert, section.tls_key, section.tls_client_ca);
    let tls = tls(reader, table, files);
    if !address.ip().is_loopback() && tls.is_none() {
        reader.warnings.push(format!(
            "the Flight door on {address} has no TLS: rows and passwords can be read on the way"
        ));
    }
    Some(FlightListener { address, tls, allowed_ips: section.allowed_ips })
}

fn http(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    taken: &mut Vec<Taken>,
) -> Option<HttpListener> {
    let section = HttpSection::read(reader, table)?;
    let address = section.listen?;
    claim(reader, table, address, taken);
    if !address.ip().is_loopback() && section.allowed_ips.is_empty() {
        reader.warnings.push(format!(
            "the HTTP door on {address} shows the names of catalogs to everybody: set allowed_ips"
        ));
    }
    Some(HttpListener { address, allowed_ips: section.allowed_ips })
}

/// An address that a listener has, with the place that gave it.
type Taken = (SocketAddr, Place);

/// Notes a mistake when another listener has the address already. Port 0 is any free port.
fn claim(reader: &mut Reader<'_>, table: &Table<'_>, address: SocketAddr, taken: &mut Vec<Taken>) {
    let collides = |other: &SocketAddr| {
        let is_same_ip = other.ip() == address.ip()
            || (other.is_ipv4() == address.is_ipv4()
                && (other.ip().is_unspecified() || address.ip().is_unspecified()));
        address.port() != 0 && other.port() == address.port() && is_same_ip
    };
    let place = reader.place_of(table, "listen");
    if let Some((other, first)) = taken.iter().find(|(other, _)| collides(other)) {
        let name = table.full_name("listen");
        let message = format!("\"{name}\": found \"{address}\", which another listener has");
        let hint = format!("\"{other}\" of {first}");
        reader.mistakes.push(Mistake::new(place.clone(), message).with_hint(hint));
    }
    taken.push((address, place));
}

/// A certificate needs its key, and the other way round; client certificates need both.
fn tls(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    (cert, key, client_ca): (Option<PathBuf>, Option<PathBuf>, Option<PathBuf>),
) -> Option<TlsConfig> {
    let (given, missing) = match (cert, key, client_ca) {
        (Some(cert), Some(key), client_ca) => {
            secrets::warn_if_open(&key, reader);
            return Some(TlsConfig { cert, key, client_ca });
        }
        (None, None, None) => return None,
        (Some(_), None, _) => ("tls_cert", "tls_key"),
        (None, Some(_), _) => ("tls_key", "tls_cert"),
        (None, None, Some(_)) => ("tls_client_ca", "tls_cert and tls_key"),
    };
    let place = reader.place_of(table, given);
    let name = table.full_name(given);
    reader.mistakes.push(Mistake::new(place, format!("\"{name}\" is given without {missing}")));
    None
}
