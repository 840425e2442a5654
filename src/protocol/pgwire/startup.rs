//! Takes a new connection from its first byte to a logged-in principal, or refuses it.
//!
//! Invariants: a [`Login`] exists only after the authenticator has named its principal. Every error
//! before that is FATAL and closes the connection, so nothing that was sent behind a refused login
//! is ever read. Nothing that was sent before TLS is read inside it.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::{
    Message,
    response::ErrorResponse,
    startup::{Authentication, NegotiateProtocolVersion},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::timeout,
};

use super::{
    FrameLimits, FrameReader,
    guard::{utf8, violation},
};
use crate::{
    auth::{Authenticator, Credential, Principal},
    config::AllowList,
    error::{Error, ErrorKind, Result},
    protocol::tls::{ServerTls, TlsInfo, Transport},
};

pub const DEFAULT_LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// The newest protocol that we speak; 3.2 differs by longer cancel keys.
const NEWEST_MINOR: u16 = 2;
/// In TLS, the first byte of a ClientHello record; never the first byte of a startup packet.
const TLS_HANDSHAKE: u8 = 0x16;
const ALPN_POSTGRESQL: &[u8] = b"postgresql";
/// The longest cancel key of protocol 3.2.
const MAX_SECRET_BYTES: usize = 256;
/// How long a refused client may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a door has to know to let a client in.
#[derive(Debug)]
pub struct StartupContext {
    pub authenticator: Arc<Authenticator>,
    /// One permit for each session. Closing it refuses new sessions: the server is shutting down.
    pub slots: Arc<Semaphore>,
    pub allowed_ips: AllowList,
    pub tls: Option<ServerTls>,
    /// Refuses sessions without TLS. Client certificates imply it.
    pub requires_tls: bool,
    /// For everything from accept to AuthenticationOk.
    pub login_timeout: Duration,
    pub limits: FrameLimits,
}

/// What a new connection turned out to be.
#[derive(Debug)]
pub enum Handshake {
    Session(Box<Login>),
    /// A client asks to cancel the query of another connection, and expects no answer.
    Cancel(CancelRequest),
    /// The client left before it said who it is, as port checks do, and psql to ask for a password.
    Left,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    pub process: i32,
    /// 4 bytes, or up to 256 when the session got a longer key; compare it in constant time.
    pub secret: Bytes,
}

/// A connection whose principal is known. The client has AuthenticationOk and waits for
/// ParameterStatus, BackendKeyData and ReadyForQuery.
#[derive(Debug)]
pub struct Login {
    pub principal: Principal,
    pub parameters: StartupParameters,
    pub reader: FrameReader<ReadHalf<Transport>>,
    pub writer: WriteHalf<Transport>,
    pub peer: SocketAddr,
    pub tls: Option<TlsInfo>,
    /// The place among the sessions, free again when this is dropped.
    pub slot: OwnedSemaphorePermit,
}

/// What the client asked for in its startup packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupParameters {
    /// As claimed; who it is says the principal.
    pub user: String,
    pub database: Option<String>,
    /// Settings by lower-case name, as sent: `application_name`, `client_encoding`, and those of
    /// `options` (`-c name=value`). They are not checked yet.
    pub settings: BTreeMap<String, String>,
    /// The minor version of protocol 3 that both speak: longer cancel keys from 2 on.
    pub protocol_minor: u16,
}

impl StartupParameters {
    /// Of the key with which the client may cancel.
    pub fn secret_bytes(&self) -> usize {
        if self.protocol_minor >= 2 { 32 } else { 4 }
    }
}

/// Lets a client in. An error has been told to the client and is for the log only.
pub async fn handshake(stream: TcpStream, context: &StartupContext) -> Result<Handshake> {
    let Ok(peer) = stream.peer_addr() else { return Ok(Handshake::Left) };
    // Answers are written whole; waiting to fill a packet would only delay them.
    if stream.set_nodelay(true).is_err() {
        return Ok(Handshake::Left);
    }
    let mut client = FrameReader::new(Transport::Plain(stream), context.limits);
    let outcome = if context.allowed_ips.allows(peer.ip()) {
        let login = log_in(&mut client, peer, context);
        timeout(context.login_timeout, login).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Cancelled, "canceling authentication due to timeout"))
        })
    } else {
        Err(Error::new(
            ErrorKind::InvalidAuthorization,
            format!("connections from {} are not allowed", peer.ip().to_canonical()),
        ))
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            refuse(client.source_mut(), &error).await;
            return Err(error);
        }
    };
    Ok(match outcome {
        Outcome::Session { principal, parameters, slot } => {
            let tls = client.source().tls_info();
            let (reader, writer) = client.split(tokio::io::split);
            let login = Login { principal, parameters, reader, writer, peer, tls, slot };
            Handshake::Session(Box::new(login))
        }
        Outcome::Cancel(request) => Handshake::Cancel(request),
        Outcome::Left => Handshake::Left,
    })
}

enum Outcome {
    Session { principal: Principal, parameters: StartupParameters, slot: OwnedSemaphorePermit },
    Cancel(CancelRequest),
    Left,
}

type Client = FrameReader<Transport>;

async fn log_in(
    client: &mut Client,
    peer: SocketAddr,
    context: &StartupContext,
) -> Result<Outcome> {
    let parameters = match negotiate(client, context).await? {
        Some(Packet::Startup(parameters)) => parameters,
        Some(Packet::Cancel(request)) => return Ok(Outcome::Cancel(request)),
        None => return Ok(Outcome::Left),
    };
    let client_certificate =
        context.tls.as_ref().is_some_and(ServerTls::requires_client_certificate);
    if client.source().plain().is_some() && (context.requires_tls || client_certificate) {
        return Err(Error::new(
            ErrorKind::InvalidAuthorization,
            "this server accepts only encrypted connections",
        )
        .with_hint("Connect with sslmode=require, or better sslmode=verify-full."));
    }
    let slot = Arc::clone(&context.slots).try_acquire_owned().map_err(|error| match error {
        TryAcquireError::NoPermits => {
            Error::new(ErrorKind::TooManyConnections, "sorry, too many clients already")
        }
        TryAcquireError::Closed => {
            Error::new(ErrorKind::ShuttingDown, "the server is shutting down")
        }
    })?;
    let principal = authenticate(client, &parameters.user, peer, context).await?;
    Ok(match principal {
        Some(principal) => Outcome::Session { principal, parameters, slot },
        None => Outcome::Left,
    })
}

enum Packet {
    Startup(StartupParameters),
    Cancel(CancelRequest),
}

/// Agrees on encryption and protocol version, until the client says what it wants.
async fn negotiate(client: &mut Client, context: &StartupContext) -> Result<Option<Packet>> {
    const CANCEL: u32 = 80_877_102;
    const SSL: u32 = 80_877_103;
    const GSS: u32 = 80_877_104;
    let mut may_ask_tls = true;
    let mut may_ask_gss = true;

    if let Some(tls) = &context.tls
        && starts_with_tls(client.source()).await
    {
        client.source_mut().accept_tls(tls).await.map_err(tls_failed)?;
        if client.source().tls_info().and_then(|info| info.protocol).as_deref()
            != Some(ALPN_POSTGRESQL)
        {
            // A browser's bytes, led here by a page, must not look like ours.
            return Err(violation(
                "received direct SSL connection request without ALPN protocol negotiation extension",
            ));
        }
        (may_ask_tls, may_ask_gss) = (false, false);
    }
    loop {
        let Some(mut packet) = client.next_startup().await? else { return Ok(None) };
        let code = packet.get_u32();
        match code {
            SSL if may_ask_tls && packet.is_empty() => {
                may_ask_tls = false;
                let Some(tls) = &context.tls else {
                    send(client.source_mut(), b"N").await;
                    continue;
                };
                if has_sent_more(client.source()) {
                    return Err(violation("received unencrypted data after SSL request")
                        .with_detail(
                            "This could be either a client-software bug or evidence of an \
                             attempted man-in-the-middle attack.",
                        ));
                }
                send(client.source_mut(), b"S").await;
                client.source_mut().accept_tls(tls).await.map_err(tls_failed)?;
                may_ask_gss = false;
            }
            GSS if may_ask_gss && packet.is_empty() => {
                may_ask_gss = false;
                send(client.source_mut(), b"N").await;
            }
            CANCEL => return cancel_request(packet).map(|request| Some(Packet::Cancel(request))),
            _ if code >> 16 == 3 => {
                let (parameters, answer) = read_startup(packet, (code & 0xffff) as u16)?;
                if let Some(answer) = answer {
                    send(client.source_mut(), &encode(&answer)?).await;
                }
                return Ok(Some(Packet::Startup(parameters)));
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::NotSupported,
                    format!("unsupported frontend protocol {}.{}", code >> 16, code & 0xffff),
                )
                .with_detail(format!("The server supports 3.0 to 3.{NEWEST_MINOR}.")));
            }
        }
    }
}

/// Whether the client begins with TLS at once, without asking.
async fn starts_with_tls(transport: &Transport) -> bool {
    let Some(stream) = transport.plain() else { return false };
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0] == TLS_HANDSHAKE
}

/// Whether bytes wait behind the request for TLS, to which the client has no answer yet: they would
/// be somebody's between us and the client (as in CVE-2021-23214). Those that come after this look
/// go into the TLS handshake, which fails on them.
fn has_sent_more(transport: &Transport) -> bool {
    // Any answer but "nothing there" is reason to stop.
    transport.plain().is_none_or(|stream| {
        !matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    })
}

fn tls_failed(error: io::Error) -> Error {
    violation("could not accept TLS connection").with_detail(error.to_string()).with_source(error)
}

fn cancel_request(mut packet: Bytes) -> Result<CancelRequest> {
    let malformed = || violation("invalid length of cancel request packet");
    let process = packet.try_get_i32().map_err(|_| malformed())?;
    if !(4..=MAX_SECRET_BYTES).contains(&packet.len()) {
        return Err(malformed());
    }
    Ok(CancelRequest { process, secret: packet })
}

/// Reads the parameters of a startup packet, and says what must be negotiated down.
fn read_startup(
    packet: Bytes,
    minor: u16,
) -> Result<(StartupParameters, Option<NegotiateProtocolVersion>)> {
    let malformed = || violation("invalid startup packet layout");
    // Name, zero, value, zero, and so on; a single zero ends it.
    let pairs = match packet.split_last() {
        Some((0, [])) => &[],
        Some((0, rest)) => rest.strip_suffix(&[0]).ok_or_else(malformed)?,
        _ => return Err(malformed()),
    };
    let mut reserved = BTreeMap::new();
    let mut options = BTreeMap::new();
    let mut settings = BTreeMap::new();
    let mut unsupported_options = Vec::new();
    let mut parts = pairs.split(|&byte| byte == 0);
    while let Some(name) = parts.next().filter(|_| !pairs.is_empty()) {
        let name = utf8(name)?;
        let value = utf8(parts.next().ok_or_else(malformed)?)?;
        match name {
            "" => return Err(malformed()),
            "user" | "database" | "options" | "replication" => {
                if reserved.insert(name, value).is_some() {
                    return Err(violation(format!("startup parameter \"{name}\" occurs twice")));
                }
            }
            _ if name.starts_with("_pq_.") => unsupported_options.push(name.to_owned()),
            _ => {
                settings.insert(name.to_ascii_lowercase(), value.to_owned());
            }
        }
    }
    if let Some(value) = reserved.get("replication")
        && !["false", "off", "no", "0"].contains(value)
    {
        return Err(Error::new(ErrorKind::NotSupported, "replication is not supported"));
    }
    let user = reserved.get("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidAuthorization,
            "no PostgreSQL user name specified in startup packet",
        )
    })?;
    if let Some(text) = reserved.get("options") {
        options = read_options(text)?;
    }
    // As in PostgreSQL, a parameter of its own beats the same one in options.
    options.extend(settings);

    let negotiate = (minor > NEWEST_MINOR || !unsupported_options.is_empty()).then(|| {
        // The whole version, not only its minor part: clients refuse anything below 3.0.
        let newest = (3 << 16) | i32::from(minor.min(NEWEST_MINOR));
        NegotiateProtocolVersion::new(newest, unsupported_options)
    });
    let parameters = StartupParameters {
        user: (*user).to_owned(),
        database: reserved.get("database").filter(|name| !name.is_empty()).map(|&n| n.to_owned()),
        settings: options,
        protocol_minor: minor.min(NEWEST_MINOR),
    };
    Ok((parameters, negotiate))
}

/// Reads `options` as PostgreSQL does: words between blanks, where a backslash keeps the next
/// character; `-c name=value`, `-cname=value` and `--name=value` are settings.
fn read_options(text: &str) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    let mut words = split_options(text).into_iter();
    while let Some(word) = words.next() {
        let invalid = || {
            Error::new(
                ErrorKind::Syntax,
                format!("invalid command-line argument for server process: {word}"),
            )
            .with_hint("Write settings as -c name=value.")
        };
        let setting = match (word.strip_prefix("-c"), word.strip_prefix("--")) {
            (Some(""), _) => words.next().ok_or_else(invalid)?,
            (Some(setting), _) | (_, Some(setting)) => setting.to_owned(),
            (None, None) => return Err(invalid()),
        };
        let (name, value) = setting.split_once('=').ok_or_else(invalid)?;
        if name.is_empty() {
            return Err(invalid());
        }
        settings.insert(name.replace('-', "_").to_ascii_lowercase(), value.to_owned());
    }
    Ok(settings)
}

fn split_options(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            _ if character.is_ascii_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(characters.next()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// The SASL exchange. `None` when the client leaves in the middle of it.
async fn authenticate(
    client: &mut Client,
    user: &str,
    peer: SocketAddr,
    context: &StartupContext,
) -> Result<Option<Principal>> {
    let is_encrypted = client.source().plain().is_none();
    let endpoint = context.tls.as_ref().filter(|_| is_encrypted).and_then(ServerTls::endpoint);
    let exchange = context.authenticator.exchange(user, endpoint)?;
    let mechanisms = exchange.mechanisms().iter().map(ToString::to_string).collect();
    send(client.source_mut(), &encode(&Authentication::SASL(mechanisms))?).await;

    let Some(first) = client.next_password().await? else { return Ok(None) };
    let (mechanism, client_first) = sasl_initial_response(&first)?;
    let challenge = exchange.challenge(mechanism, client_first)?;
    let server_first = Bytes::copy_from_slice(challenge.message().as_bytes());
    send(client.source_mut(), &encode(&Authentication::SASLContinue(server_first))?).await;

    let Some(last) = client.next_password().await? else { return Ok(None) };
    let proof = challenge.complete(&last)?;
    let server_final = Bytes::copy_from_slice(proof.server_final().as_bytes());
    let credential = Credential::Scram { user: user.to_owned(), proof };
    let principal = context.authenticator.authenticate(credential, peer.ip()).await?;

    let mut answer = encode(&Authentication::SASLFinal(server_final))?;
    answer.extend_from_slice(&encode(&Authentication::Ok)?);
    send(client.source_mut(), &answer).await;
    Ok(Some(principal))
}

/// Mechanism and the client's first message, which SCRAM always begins with.
fn sasl_initial_response(body: &[u8]) -> Result<(&str, &[u8])> {
    let malformed = || violation("invalid SASL initial response");
    let end = body.iter().position(|&byte| byte == 0).ok_or_else(malformed)?;
    let mechanism = utf8(&body[..end])?;
    let (length, message) = body[end + 1..].split_first_chunk().ok_or_else(malformed)?;
    if usize::try_from(u32::from_be_bytes(*length)) != Ok(message.len()) {
        return Err(malformed());
    }
    Ok((mechanism, message))
}

fn encode(message: &impl Message) -> Result<BytesMut> {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes).map_err(Error::internal)?;
    Ok(bytes)
}

/// Sends at once. A client that is gone is noticed by the next read.
async fn send(transport: &mut Transport, bytes: &[u8]) {
    if let Err(error) = write_all(transport, bytes).await {
        tracing::debug!(%error, "could not write to a client");
    }
}

async fn write_all(transport: &mut Transport, bytes: &[u8]) -> io::Result<()> {
    transport.write_all(bytes).await?;
    transport.flush().await
}

/// Tells the client why, and closes. What it still sends is thrown away for a moment: closing on
/// unread bytes would reset the connection and destroy the message.
async fn refuse(transport: &mut Transport, error: &Error) {
    let farewell = async {
        write_all(transport, &encode_fatal(error)).await?;
        transport.shutdown().await?;
        let mut waste = [0; 4096];
        while transport.read(&mut waste).await? > 0 {}
        io::Result::Ok(())
    };
    // The client is lost either way.
    let _ = timeout(FAREWELL, farewell).await;
}

/// ErrorResponse for an error that ends the connection.
pub(super) fn encode_fatal(error: &Error) -> BytesMut {
    encode(&ErrorResponse::new(super::reply::fields("FATAL", error))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
