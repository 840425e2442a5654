#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::Instant,
};

use pgwire::messages::{
    data::{DataRow, FieldDescription, RowDescription},
    response::{CommandComplete, ReadyForQuery, TransactionStatus},
    startup::ParameterStatus,
};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::{
    auth::{TokenLimits, UserStore, testing},
    protocol::{
        pgwire::Frontend,
        tls::{TlsFiles, tests as certificates},
    },
};

const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
const GSS_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";
const USERS: &[(&str, &str)] = &[("alice", "pencil"), ("carol", "päßword 'x'")];

/// A door on loopback whose sessions answer each query with the principal's name and the query.
struct Door {
    address: SocketAddr,
    folder: TempDir,
    context: Arc<StartupContext>,
    /// How each connection began, and each statement that was run.
    journal: Arc<Mutex<Vec<String>>>,
    listener: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn door(adjust: impl FnOnce(&mut StartupContext, &TempDir)) -> Door {
    let (folder, store) = testing::user_store(USERS);
    let mut context = StartupContext {
        authenticator: Arc::new(Authenticator::new(store, TokenLimits::default())),
        slots: Arc::new(Semaphore::new(10)),
        allowed_ips: AllowList::default(),
        tls: None,
        requires_tls: false,
        login_timeout: Duration::from_secs(20),
        limits: FrameLimits::default(),
    };
    adjust(&mut context, &folder);
    let context = Arc::new(context);
    let journal = Arc::<Mutex<Vec<String>>>::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = {
        let (context, journal) = (Arc::clone(&context), Arc::clone(&journal));
        async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&context), Arc::clone(&journal)));
            }
        }
    };
    Door { address, folder, context, journal, listener: tokio::spawn(accept) }
}

async fn plain_door() -> Door {
    door(|_, _| ()).await
}

async fn tls_door() -> Door {
    door(|context, folder| {
        let files = certificates::self_signed(folder, &PKCS_ECDSA_P256_SHA256);
        context.tls = Some(ServerTls::load(&files, &["postgresql"]).unwrap());
    })
    .await
}

async fn serve(stream: TcpStream, context: Arc<StartupContext>, journal: Arc<Mutex<Vec<String>>>) {
    let note = |line: String| journal.lock().unwrap().push(line);
    match handshake(stream, &context).await {
        Ok(Handshake::Session(login)) => {
            let tls = login.tls.as_ref().map_or("plain", |tls| tls.version.as_str());
            note(format!("login {} {tls}", login.principal.name));
            echo(*login, note).await;
        }
        Ok(Handshake::Cancel(request)) => note(format!("cancel {}", request.process)),
        Ok(Handshake::Left) => note("left".into()),
        Err(error) => note(format!("refused {}", error.kind.sqlstate())),
    }
}

async fn echo(mut login: Login, note: impl Fn(String)) {
    let ready = encode(&ReadyForQuery::new(TransactionStatus::Idle)).unwrap();
    let mut hello = encode(&ParameterStatus::new("server_version".into(), "15.0".into())).unwrap();
    hello.extend_from_slice(&ready);
    login.writer.write_all(&hello).await.unwrap();
    login.writer.flush().await.unwrap();
    loop {
        let mut answer = match login.reader.next().await {
            Ok(Some(Frontend::Query(sql))) => {
                note(format!("query {sql}"));
                row(&format!("{}: {sql}", login.principal.name))
            }
            Ok(Some(Frontend::Malformed { error, .. })) => encode_fatal(&error),
            Ok(Some(Frontend::Terminate) | None) => return,
            Ok(Some(_)) => continue,
            Err(error) => {
                note(format!("broken {}", error.kind.sqlstate()));
                let _ = login.writer.write_all(&encode_fatal(&error)).await;
                let _ = login.writer.shutdown().await;
                return;
            }
        };
        answer.extend_from_slice(&ready);
        if login.writer.write_all(&answer).await.is_err() || login.writer.flush().await.is_err() {
            return;
        }
    }
}

fn row(text: &str) -> BytesMut {
    let field = FieldDescription::new("answer".into(), 0, 0, 25, -1, -1, 0);
    let mut value = BytesMut::from(u32::try_from(text.len()).unwrap().to_be_bytes().as_slice());
    value.extend_from_slice(text.as_bytes());
    let mut bytes = encode(&RowDescription::new(vec![field])).unwrap();
    bytes.extend_from_slice(&encode(&DataRow::new(value, 1)).unwrap());
    bytes.extend_from_slice(&encode(&CommandComplete::new("SELECT 1".into())).unwrap());
    bytes
}

/// A client that can misbehave.
struct Wire<S>(S);

type Frame = (u8, Vec<u8>);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next message; `None` when the server has closed.
    async fn next(&mut self) -> Option<Frame> {
        let mut header = [0; 5];
        timeout(Duration::from_secs(10), self.0.read_exact(&mut header)).await.unwrap().ok()?;
        let length = u32::from_be_bytes(*header.last_chunk().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        self.0.read_exact(&mut body).await.unwrap();
        Some((header[0], body))
    }

    /// Everything until the server closes.
    async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// Expects one FATAL error and the end; gives its SQLSTATE and message.
    async fn fatal(&mut self) -> (String, String) {
        let frames = self.rest().await;
        let [(b'E', body)] = frames.as_slice() else { panic!("no single error: {frames:?}") };
        assert_eq!(error_field(body, b'S'), "FATAL");
        (error_field(body, b'C'), error_field(body, b'M'))
    }

    /// Offers a SCRAM exchange, and gives the server's first message and what would answer it.
    async fn begin_scram(&mut self, user: &str, password: &str) -> (Vec<u8>, String) {
        self.send(&startup(&[("user", user)])).await;
        assert_eq!(self.next().await.unwrap().0, b'R');
        self.send(&sasl_initial("SCRAM-SHA-256", "n,,n=,r=client-nonce")).await;
        let (message, body) = self.next().await.unwrap();
        assert_eq!(message, b'R');
        let server_first = std::str::from_utf8(&body[4..]).unwrap();
        let answer = testing::client_final(password, "n=,r=client-nonce", server_first, b"n,,");
        (body, answer)
    }

    async fn log_in(&mut self) {
        let (_, answer) = self.begin_scram("alice", "pencil").await;
        self.send(&frame(b'p', answer.as_bytes())).await;
        while self.next().await.unwrap().0 != b'Z' {}
    }
}

async fn connect(door: &Door) -> Wire<TcpStream> {
    Wire(TcpStream::connect(door.address).await.unwrap())
}

fn frame(message: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[message], length.to_be_bytes().as_slice(), body].concat()
}

fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    startup_version(3, 0, parameters)
}

fn startup_version(major: u16, minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = [major.to_be_bytes(), minor.to_be_bytes()].concat();
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    packet(&body)
}

fn packet(body: &[u8]) -> Vec<u8> {
    [u32::try_from(body.len() + 4).unwrap().to_be_bytes().as_slice(), body].concat()
}

fn sasl_initial(mechanism: &str, message: &str) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [mechanism.as_bytes(), b"\0", &length, message.as_bytes()].concat();
    frame(b'p', &body)
}

fn error_field(body: &[u8], field: u8) -> String {
    body.split(|&byte| byte == 0)
        .find_map(|part| part.strip_prefix(&[field]))
        .map(|text| String::from_utf8(text.to_vec()).unwrap())
        .unwrap_or_default()
}

fn ran_nothing(door: &Door) -> bool {
    !door.journal.lock().unwrap().iter().any(|line| line.starts_with("query"))
}

/// Waits until the journal holds this line.
async fn expect_note(door: &Door, line: &str) {
    let begin = Instant::now();
    while !door.journal.lock().unwrap().iter().any(|noted| noted == line) {
        assert!(begin.elapsed() < Duration::from_secs(10), "{line}: {:?}", door.journal);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn client_config(
    folder: &Path,
    alpn: &[&str],
    identity: Option<(PathBuf, PathBuf)>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("server.pem")).unwrap()).unwrap();
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
    let mut config = match identity {
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(certificate).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn start_tls(
    stream: TcpStream,
    config: ClientConfig,
) -> io::Result<Wire<tokio_rustls::client::TlsStream<TcpStream>>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map(Wire)
}

/// Asks for TLS in PostgreSQL's way.
async fn connect_tls(door: &Door) -> Wire<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut wire = connect(door).await;
    wire.send(SSL_REQUEST).await;
    assert_eq!(wire.0.read_u8().await.unwrap(), b'S');
    start_tls(wire.0, client_config(door.folder.path(), &[], None)).await.unwrap()
}

// The holes that this code exists to close.

#[tokio::test]
async fn bytes_smuggled_behind_the_request_for_tls_are_fatal() {
    let door = tls_door().await;
    for smuggled in [startup(&[("user", "alice")]), vec![0], SSL_REQUEST.to_vec()] {
        let mut wire = connect(&door).await;
        wire.send(&[SSL_REQUEST, &smuggled].concat()).await;
        let (sqlstate, message) = wire.fatal().await;
        assert_eq!(sqlstate, "08P01");
        assert_eq!(message, "received unencrypted data after SSL request");
    }
    // Later ones fall into the TLS handshake, which breaks on them.
    let mut wire = connect(&door).await;
    wire.send(SSL_REQUEST).await;
    assert_eq!(wire.0.read_u8().await.unwrap(), b'S');
    wire.send(&startup(&[("user", "alice")])).await;
    let mut rest = Vec::new();
    let _ = wire.0.read_to_end(&mut rest).await;
    // A TLS alert at most.
    assert!(rest.is_empty() || rest[0] == 0x15, "{rest:?}");
    expect_note(&door, "refused 08P01").await;
    assert!(!door.journal.lock().unwrap().iter().any(|line| line.starts_with("login")));
}

#[tokio::test]
async fn nothing_behind_a_wrong_password_is_run() {
    let door = plain_door().await;
    let mut wire = connect(&door).await;
    let (_, answer) = wire.begin_scram("alice", "wrong").await;
    let mut bytes = frame(b'p', answer.as_bytes());
    bytes.extend_from_slice(&frame(b'Q', b"SELECT 'after a wrong password'\0"));
    wire.send(&bytes).await;
    let (sqlstate, message) = wire.fatal().await;
    assert_eq!(sqlstate, "28P01");
    assert_eq!(message, "password authentication failed for user \"alice\"");
    assert!(ran_nothing(&door));

    // While behind a right one it is.
    let mut wire = connect(&door).await;
    let (_, answer) = wire.begin_scram("alice", "pencil").await;
    let mut bytes = frame(b'p', answer.as_bytes());
    bytes.extend_from_slice(&frame(b'Q', b"SELECT 1\0"));
    wire.send(&bytes).await;
    expect_note(&door, "query SELECT 1").await;
}

#[tokio::test]
async fn no_query_runs_before_login() {
    let door = plain_door().await;
    for bytes in [
        [startup(&[("user", "alice")]), frame(b'Q', b"SELECT 1\0")].concat(),
        [startup(&[("user", "alice")]), frame(b'X', b""), frame(b'Q', b"SELECT 1\0")].concat(),
    ] {
        let mut wire = connect(&door).await;
        wire.send(&bytes).await;
        let frames = wire.rest().await;
        let [(b'R', _), (b'E', error)] = frames.as_slice() else { panic!("{frames:?}") };
        assert_eq!(error_field(error, b'S'), "FATAL");
        assert_eq!(error_field(error, b'C'), "08P01");
    }
    // Not even as the very first bytes.
    let mut wire = connect(&door).await;
    wire.send(&frame(b'Q', b"SELECT 1\0")).await;
    wire.fatal().await;
    assert!(ran_nothing(&door));
}

#[tokio::test]
async fn a_user_store_out_of_order_lets_nobody_in() {
    let door = plain_door().await;
    let path = door.folder.path().join("users.json");
    fs::write(&path, "{").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut wire = connect(&door).await;
    wire.send(&startup(&[("user", "alice")])).await;
    assert_eq!(wire.fatal().await, ("XX000".into(), "internal error".into()));

    // Also when it happens between the challenge and the answer.
    let door = plain_door().await;
    let mut wire = connect(&door).await;
    let (_, answer) = wire.begin_scram("alice", "pencil").await;
    fs::write(door.folder.path().join("users.json"), "{").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut bytes = frame(b'p', answer.as_bytes());
    bytes.extend_from_slice(&frame(b'Q', b"SELECT 'let me in'\0"));
    wire.send(&bytes).await;
    assert_eq!(wire.fatal().await.0, "XX000");
    assert!(ran_nothing(&door));
}

#[tokio::test]
async fn wrong_lengths_are_fatal_in_every_phase() {
    let door = door(|context, _| context.slots = Arc::new(Semaphore::new(200))).await;
    let lengths = [0, 1, 2, 3, 0x7fff_ffff_u32, 0x8000_0000, 0xffff_ffff];
    for length in lengths {
        let mut wire = connect(&door).await;
        wire.send(&[&length.to_be_bytes(), b"\0\x03\0\0user\0alice\0\0".as_slice()].concat()).await;
        assert_eq!(wire.fatal().await.0, "08P01", "{length}");
    }
    for length in lengths {
        let mut wire = connect(&door).await;
        wire.send(&startup(&[("user", "alice")])).await;
        wire.next().await.unwrap();
        wire.send(&[b"p", length.to_be_bytes().as_slice(), &[0; 16]].concat()).await;
        assert_eq!(wire.fatal().await.0, "08P01", "{length}");
    }
    for message in *b"QPBDECHSXdcfFp?\0\xff" {
        for length in lengths {
            let mut wire = connect(&door).await;
            wire.log_in().await;
            wire.send(&[&[message], length.to_be_bytes().as_slice(), &[0; 16]].concat()).await;
            assert_eq!(wire.fatal().await.0, "08P01", "{message} {length}");
        }
    }
    assert!(ran_nothing(&door));
}

#[tokio::test]
async fn a_large_body_before_login_is_refused_by_its_header() {
    let door = plain_door().await;
    for header in [
        [b"p", 300_000_000_u32.to_be_bytes().as_slice()].concat(),
        [b"p", 10_005_u32.to_be_bytes().as_slice()].concat(),
    ] {
        let mut wire = connect(&door).await;
        wire.send(&startup(&[("user", "alice")])).await;
        wire.next().await.unwrap();
        wire.send(&header).await;
        assert_eq!(wire.fatal().await.0, "08P01");
    }
    let mut wire = connect(&door).await;
    wire.send(&10_001_u32.to_be_bytes()).await;
    assert_eq!(wire.fatal().await.0, "08P01");
}

#[tokio::test]
async fn the_reason_reaches_a_client_that_is_still_sending() {
    let door = plain_door().await;
    let mut wire = connect(&door).await;
    wire.send(&300_000_000_u32.to_be_bytes()).await;
    // A connection closed on unread bytes would break these.
    for _ in 0..5 {
        wire.send(&[b'x'; 100_000]).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(wire.fatal().await.1, "invalid length of startup packet");
}

#[tokio::test]
async fn invalid_utf8_is_an_error_and_never_repaired() {
    let door = plain_door().await;
    for body in [
        b"\0\x03\0\0user\0al\xffice\0\0".as_slice(),
        b"\0\x03\0\0user\0alice\0application_name\0\xc3\0\0",
    ] {
        let mut wire = connect(&door).await;
        wire.send(&packet(body)).await;
        assert_eq!(wire.fatal().await.0, "22021");
    }
    let mut wire = connect(&door).await;
    wire.log_in().await;
    wire.send(&frame(b'Q', b"select '\xff\xfe\xc0'\0")).await;
    let (message, body) = wire.next().await.unwrap();
    assert_eq!((message, error_field(&body, b'C').as_str()), (b'E', "22021"));
    assert!(ran_nothing(&door));
    // The connection lives.
    wire.send(&frame(b'Q', b"SELECT 1\0")).await;
    expect_note(&door, "query SELECT 1").await;
}

#[tokio::test]
async fn scram_messages_that_do_not_fit_are_fatal() {
    let door = plain_door().await;
    type Change = fn(&str) -> String;
    let changes: &[(Change, &str)] = &[
        (|answer| answer.replace("client-nonce", "client-nonsense"), "08P01"),
        (|answer| answer.replace("c=biws", "c=eSws"), "28000"),
        (|answer| answer.replace(",p=", ",q="), "08P01"),
        (|_| String::new(), "08P01"),
        // The server's half of the nonce is missing: a replay of another exchange.
        (|answer| format!("c=biws,r=client-nonce,{}", answer.rsplit_once(',').unwrap().1), "08P01"),
    ];
    for (change, sqlstate) in changes {
        let mut wire = connect(&door).await;
        let (_, answer) = wire.begin_scram("alice", "pencil").await;
        wire.send(&frame(b'p', change(&answer).as_bytes())).await;
        assert_eq!(wire.fatal().await.0, *sqlstate);
    }
    for initial in [
        sasl_initial("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=x"),
        sasl_initial("SCRAM-SHA-1", "n,,n=,r=x"),
        sasl_initial("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=x"),
        sasl_initial("SCRAM-SHA-256", "nonsense"),
        frame(b'p', b""),
        frame(b'p', b"pencil\0"),
        frame(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
        frame(b'p', b"SCRAM-SHA-256\0\0\0\xff\xffn,,n=,r=x"),
        frame(b'p', b"SCRAM-SHA-256\0\0\0\0\x01n,,n=,r=x"),
    ] {
        let mut wire = connect(&door).await;
        wire.send(&startup(&[("user", "alice")])).await;
        wire.next().await.unwrap();
        wire.send(&initial).await;
        assert_eq!(wire.fatal().await.0, "08P01");
    }
}

#[tokio::test]
async fn hiding_channel_binding_from_the_client_is_noticed() {
    let door = tls_door().await;
    let mut wire = connect_tls(&door).await;
    wire.send(&startup(&[("user", "alice")])).await;
    let (_, offer) = wire.next().await.unwrap();
    assert_eq!(&offer[4..], b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
    wire.send(&sasl_initial("SCRAM-SHA-256", "y,,n=,r=x")).await;
    let (sqlstate, message) = wire.fatal().await;
    assert_eq!(sqlstate, "28000");
    assert_eq!(message, "SCRAM channel binding negotiation error");

    // A proof that is bound to another server's certificate.
    let mut wire = connect_tls(&door).await;
    wire.send(&startup(&[("user", "alice")])).await;
    wire.next().await.unwrap();
    wire.send(&sasl_initial("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=x")).await;
    let (_, body) = wire.next().await.unwrap();
    let server_first = std::str::from_utf8(&body[4..]).unwrap();
    let bound = [b"p=tls-server-end-point,,".as_slice(), &[7; 32]].concat();
    let answer = testing::client_final("pencil", "n=,r=x", server_first, &bound);
    wire.send(&frame(b'p', answer.as_bytes())).await;
    assert_eq!(wire.fatal().await.0, "28000");
}

#[tokio::test]
async fn unknown_users_look_like_known_ones() {
    let door = plain_door().await;
    let mut seen = Vec::new();
    for user in ["alice", "nobod", "al ce", "alice", "nobod"] {
        let mut wire = connect(&door).await;
        let (challenge, answer) = wire.begin_scram(user, "wrong").await;
        wire.send(&frame(b'p', answer.as_bytes())).await;
        let (sqlstate, message) = wire.fatal().await;
        assert_eq!(sqlstate, "28P01");
        assert_eq!(message, format!("password authentication failed for user \"{user}\""));
        let challenge = String::from_utf8(challenge[4..].to_vec()).unwrap();
        let salt = challenge.split(',').nth(1).unwrap().to_owned();
        assert!(challenge.ends_with(",i=15000"));
        seen.push((challenge.len(), salt));
    }
    assert!(seen.iter().all(|(length, _)| *length == seen[0].0));
    // The salt of a name stays, also of one that nobody has, also in the next process.
    assert_eq!(seen[0], seen[3]);
    assert_eq!(seen[1], seen[4]);
    assert_ne!(seen[0], seen[1]);
    assert_ne!(seen[1], seen[2]);
    let again = UserStore::open(door.folder.path()).unwrap();
    let exchange =
        Authenticator::new(again, TokenLimits::default()).exchange("nobod", None).unwrap();
    let challenge = exchange.challenge("SCRAM-SHA-256", b"n,,n=,r=x").unwrap();
    assert!(challenge.message().contains(&seen[1].1));
}

// Manners of the startup phase.

#[tokio::test]
async fn startup_packets_that_are_refused() {
    let door = plain_door().await;
    for (bytes, sqlstate) in [
        (startup(&[]), "28000"),
        (startup(&[("user", "")]), "28000"),
        (startup(&[("database", "weir")]), "28000"),
        (startup(&[("user", "alice"), ("user", "admin")]), "08P01"),
        (startup(&[("user", "alice"), ("database", "a"), ("database", "b")]), "08P01"),
        (startup(&[("user", "alice"), ("replication", "database")]), "0A000"),
        (startup(&[("user", "alice"), ("options", "-d 5")]), "42601"),
        (startup_version(2, 0, &[("user", "alice")]), "0A000"),
        (startup_version(4, 0, &[("user", "alice")]), "0A000"),
        (packet(b"\0\x03\0\0"), "08P01"),
        (packet(b"\0\x03\0\0user\0alice\0"), "08P01"),
        (packet(b"\0\x03\0\0user\0alice"), "08P01"),
        (packet(b"\0\x03\0\0user\0\0"), "08P01"),
        (packet(b"\0\x03\0\0\0user\0alice\0\0"), "08P01"),
        (packet(b"\x04\xd2\x16\x2e\0\0\0\x01"), "08P01"),
        (packet(&[b"\x04\xd2\x16\x2e\0\0\0\x01".as_slice(), &[0; 257]].concat()), "08P01"),
        (packet(b"\x04\xd2\x16\x2fmore"), "0A000"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "08P01"),
    ] {
        let mut wire = connect(&door).await;
        wire.send(&bytes).await;
        assert_eq!(wire.fatal().await.0, sqlstate, "{bytes:?}");
    }
}

#[tokio::test]
async fn encryption_is_asked_for_once() {
    let door = plain_door().await;
    for (requests, is_refused) in [
        (vec![SSL_REQUEST], false),
        (vec![GSS_REQUEST], false),
        (vec![GSS_REQUEST, SSL_REQUEST], false),
        (vec![SSL_REQUEST, GSS_REQUEST], false),
        (vec![SSL_REQUEST, SSL_REQUEST], true),
        (vec![GSS_REQUEST, SSL_REQUEST, GSS_REQUEST], true),
    ] {
        let mut wire = connect(&door).await;
        let count = requests.len();
        for (position, request) in requests.into_iter().enumerate() {
            wire.send(request).await;
            if !is_refused || position + 1 < count {
                assert_eq!(wire.0.read_u8().await.unwrap(), b'N');
            }
        }
        if is_refused {
            assert_eq!(wire.fatal().await.0, "0A000");
        } else {
            wire.log_in().await;
        }
    }
    for request in [SSL_REQUEST, GSS_REQUEST] {
        let door = tls_door().await;
        let mut wire = connect_tls(&door).await;
        wire.send(request).await;
        assert_eq!(wire.fatal().await.0, "0A000");
    }
}

#[tokio::test]
async fn newer_protocols_are_negotiated_down() {
    let door = plain_door().await;
    for (minor, option, answer) in [
        (0, None, None),
        (2, None, None),
        (9999, None, Some((0x0003_0002, vec![]))),
        (0, Some("_pq_.test"), Some((0x0003_0000, vec!["_pq_.test"]))),
        (2, Some("_pq_.test"), Some((0x0003_0002, vec!["_pq_.test"]))),
    ] {
        let mut wire = connect(&door).await;
        let mut parameters = vec![("user", "alice")];
        parameters.extend(option.map(|option| (option, "on")));
        wire.send(&startup_version(3, minor, &parameters)).await;
        if let Some((newest, options)) = answer {
            let (message, body) = wire.next().await.unwrap();
            let mut expected = u32::to_be_bytes(newest).to_vec();
            expected.extend_from_slice(&u32::try_from(options.len()).unwrap().to_be_bytes());
            options
                .iter()
                .for_each(|name| expected.extend_from_slice(format!("{name}\0").as_bytes()));
            assert_eq!((message, body), (b'v', expected));
        }
        assert_eq!(wire.next().await.unwrap().0, b'R');
    }
}

#[test]
fn startup_parameters_are_read() {
    let (packet, minor) = (
        b"user\0alice\0database\0weir\0Application_Name\0psql\0client_encoding\0'utf-8'\0\
        options\0-c statement_timeout=5s --search-path=a\\ b -cApplication_Name=x\0\0"
            .as_slice(),
        2,
    );
    let (parameters, answer) = read_startup(Bytes::from_static(packet), minor).unwrap();
    assert!(answer.is_none());
    assert_eq!(parameters.user, "alice");
    assert_eq!(parameters.database.as_deref(), Some("weir"));
    assert_eq!(parameters.protocol_minor, 2);
    let settings: Vec<_> =
        parameters.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        settings,
        [
            ("application_name", "psql"),
            ("client_encoding", "'utf-8'"),
            ("search_path", "a b"),
            ("statement_timeout", "5s"),
        ]
    );
}

#[test]
fn options_are_split_as_postgresql_does() {
    for (text, expected) in [
        ("", Some(vec![])),
        ("  ", Some(vec![])),
        ("-c a=b", Some(vec![("a", "b")])),
        ("-ca=b\t-c c=", Some(vec![("a", "b"), ("c", "")])),
        ("--a-b=c=d", Some(vec![("a_b", "c=d")])),
        (r"-c a=\\\ b\", Some(vec![("a", r"\ b")])),
        ("-c a=1 -c A=2", Some(vec![("a", "2")])),
        ("-c", None),
        ("-c a", None),
        ("-c =b", None),
        ("--", None),
        ("-d", None),
        ("a=b", None),
    ] {
        let expected = expected.map(|pairs| {
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        });
        assert_eq!(read_options(text).ok(), expected, "{text}");
    }
}

#[tokio::test]
async fn sessions_are_counted_and_freed() {
    let door = door(|context, _| context.slots = Arc::new(Semaphore::new(1))).await;
    let mut first = connect(&door).await;
    first.log_in().await;
    let mut second = connect(&door).await;
    second.send(&startup(&[("user", "alice")])).await;
    let (sqlstate, message) = second.fatal().await;
    assert_eq!((sqlstate.as_str(), message.as_str()), ("53300", "sorry, too many clients already"));

    // Neither a cancel request nor a port check takes a place.
    connect(&door).await.send(&packet(b"\x04\xd2\x16\x2e\0\0\0\x2akey!")).await;
    expect_note(&door, "cancel 42").await;
    drop(connect(&door).await);
    expect_note(&door, "left").await;

    drop(first);
    let begin = Instant::now();
    while door.context.slots.available_permits() == 0 {
        assert!(begin.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    connect(&door).await.log_in().await;

    door.context.slots.close();
    let mut late = connect(&door).await;
    late.send(&startup(&[("user", "alice")])).await;
    assert_eq!(late.fatal().await.0, "57P01");
}

#[tokio::test]
async fn other_addresses_are_turned_away_at_once() {
    let door = door(|context, _| {
        context.allowed_ips = AllowList::from_iter(["10.0.0.0/8".parse().unwrap()])
    })
    .await;
    let mut wire = connect(&door).await;
    let (sqlstate, message) = wire.fatal().await;
    assert_eq!(sqlstate, "28000");
    assert_eq!(message, "connections from 127.0.0.1 are not allowed");
}

#[tokio::test]
async fn a_slow_login_ends() {
    let door = door(|context, folder| {
        let files = certificates::self_signed(folder, &PKCS_ECDSA_P256_SHA256);
        context.tls = Some(ServerTls::load(&files, &["postgresql"]).unwrap());
        context.login_timeout = Duration::from_millis(300);
    })
    .await;
    for bytes in [b"".as_slice(), b"\0", SSL_REQUEST] {
        let mut wire = connect(&door).await;
        wire.send(bytes).await;
        let begin = Instant::now();
        let mut rest = Vec::new();
        wire.0.read_to_end(&mut rest).await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(5));
        let text = String::from_utf8_lossy(&rest);
        assert!(bytes == SSL_REQUEST || text.contains("57014"), "{text}");
    }
    let mut wire = connect(&door).await;
    wire.send(&startup(&[("user", "alice")])).await;
    assert_eq!(wire.next().await.unwrap().0, b'R');
    assert_eq!(wire.fatal().await.0, "57014");
}

#[tokio::test]
async fn plain_text_is_refused_where_tls_is_required() {
    let door = door(|context, folder| {
        let files = certificates::self_signed(folder, &PKCS_ECDSA_P256_SHA256);
        context.tls = Some(ServerTls::load(&files, &["postgresql"]).unwrap());
        context.requires_tls = true;
    })
    .await;
    let mut wire = connect(&door).await;
    wire.send(&startup(&[("user", "alice")])).await;
    assert_eq!(wire.fatal().await.0, "28000");
    connect_tls(&door).await.log_in().await;
}

#[tokio::test]
async fn client_certificates_are_required_when_configured() {
    let mut identity = None;
    let door = door(|context, folder| {
        let mut files = certificates::self_signed(folder, &PKCS_ECDSA_P256_SHA256);
        identity = Some(certificates::add_client_ca(folder, &mut files));
        context.tls = Some(ServerTls::load(&files, &["postgresql"]).unwrap());
    })
    .await;
    let mut wire = connect(&door).await;
    wire.send(&startup(&[("user", "alice")])).await;
    assert_eq!(wire.fatal().await.0, "28000");

    for (identity, is_accepted) in [(None, false), (identity, true)] {
        let stream = TcpStream::connect(door.address).await.unwrap();
        let config = client_config(door.folder.path(), &["postgresql"], identity);
        // In TLS 1.3 the client learns of it only with the first read.
        let mut wire = start_tls(stream, config).await.unwrap();
        let _ = wire.0.write_all(&startup(&[("user", "alice")])).await;
        let first = timeout(Duration::from_secs(10), wire.0.read_u8()).await.unwrap();
        assert_eq!(first.ok(), is_accepted.then_some(b'R'));
    }
}

#[tokio::test]
async fn direct_tls_needs_its_protocol_name() {
    let door = tls_door().await;
    for (alpn, is_accepted) in [(vec!["postgresql"], true), (vec![], false), (vec!["h2"], false)] {
        let stream = TcpStream::connect(door.address).await.unwrap();
        match start_tls(stream, client_config(door.folder.path(), &alpn, None)).await {
            Ok(mut wire) if is_accepted => wire.log_in().await,
            Ok(mut wire) => assert_eq!(wire.fatal().await.0, "08P01"),
            Err(error) => assert!(!is_accepted, "{error}"),
        }
    }
}

// Real clients.

async fn psql(door: &Door, user: &str, password: &str, options: &str) -> Result<String, String> {
    let root = door.folder.path().join("server.pem");
    let connection = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user={user} dbname=weir sslrootcert='{}' {options}",
        door.address.port(),
        root.display()
    );
    let mut command = Command::new("psql");
    command
        .args(["-X", "-w", "-At", "-c", "SELECT 1", &connection])
        .env("PGPASSWORD", password)
        .env("HOME", door.folder.path());
    let output = tokio::task::spawn_blocking(move || {
        command.output().expect("psql is missing: apt-get install postgresql-client")
    })
    .await
    .unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_logs_in() {
    let door = plain_door().await;
    for (user, password) in USERS {
        for options in ["sslmode=disable", "sslmode=prefer gssencmode=prefer"] {
            let answer = psql(&door, user, password, options).await;
            assert_eq!(answer.unwrap(), format!("{user}: SELECT 1"));
        }
    }
    let answer = psql(&door, "alice", "pencil", "options='-c statement_timeout=5s'").await;
    assert!(answer.is_ok());
    for (user, password) in [("alice", "wrong"), ("nobody", "pencil")] {
        let error = psql(&door, user, password, "sslmode=disable").await.unwrap_err();
        let expected = format!("FATAL:  password authentication failed for user \"{user}\"");
        assert!(error.contains(&expected), "{error}");
    }
    // Without TLS there is nothing to bind to.
    let options = "sslmode=disable channel_binding=require";
    assert!(psql(&door, "alice", "pencil", options).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_logs_in_over_tls_with_channel_binding() {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let door = door(|context, folder| {
            let files: TlsFiles = certificates::self_signed(folder, algorithm);
            context.tls = Some(ServerTls::load(&files, &["postgresql"]).unwrap());
        })
        .await;
        // Ed25519 has no hash of its own, so there is no channel binding to offer.
        let can_bind = algorithm != &PKCS_ED25519;
        for (options, is_accepted) in [
            ("sslmode=require channel_binding=disable", true),
            ("sslmode=require channel_binding=require", can_bind),
            ("sslmode=verify-full channel_binding=prefer", true),
            ("sslmode=require ssl_max_protocol_version=TLSv1.2 channel_binding=require", can_bind),
        ] {
            let answer = psql(&door, "carol", USERS[1].1, options).await;
            assert_eq!(answer.is_ok(), is_accepted, "{options}: {answer:?}");
        }
        assert!(psql(&door, "carol", "wrong", "sslmode=require").await.is_err());
        assert!(!door.journal.lock().unwrap().iter().any(|line| line.ends_with("plain")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_logs_in() {
    let door = tls_door().await;
    let config = || client_config(door.folder.path(), &["postgresql"], None);
    for (options, expected) in [
        ("user=alice password=pencil sslmode=disable", Some("alice")),
        ("user=alice password=pencil sslmode=require channel_binding=require", Some("alice")),
        ("user=alice password=pencil sslmode=require channel_binding=disable", Some("alice")),
        (
            "user=alice password=pencil sslmode=require sslnegotiation=direct channel_binding=require",
            Some("alice"),
        ),
        ("user=alice password=wrong sslmode=require", None),
        ("user=nobody password=pencil sslmode=disable", None),
    ] {
        let connection = format!(
            "host=localhost hostaddr=127.0.0.1 port={} dbname=weir {options}",
            door.address.port()
        );
        let tls = tokio_postgres_rustls::MakeRustlsConnect::new(config());
        match (tokio_postgres::connect(&connection, tls).await, expected) {
            (Ok((client, connection)), Some(name)) => {
                let connection = tokio::spawn(connection);
                let messages = client.simple_query("SELECT 1").await.unwrap();
                let answer = messages.iter().find_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                });
                assert_eq!(answer.unwrap(), format!("{name}: SELECT 1"));
                drop(client);
                connection.await.unwrap().unwrap();
            }
            (Err(error), None) => {
                assert_eq!(error.code().unwrap().code(), "28P01", "{options}");
            }
            (Ok(_), None) => panic!("{options} was let in"),
            (Err(error), Some(_)) => panic!("{options}: {error:?}"),
        }
    }
}
