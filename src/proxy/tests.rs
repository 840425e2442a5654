#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::Cursor,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Parser;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_postgres::{Client, NoTls};

use super::*;
use crate::{
    auth::{RoleName, TenantName, User, UserName},
    cli::{Cli, Command},
};

/// A folder with a configuration whose doors have free ports, one catalog and one user.
struct Place(TempDir);

const POLICY: &str = "p, role:analyst, *, *, select, , allow\n";
const PASSWORD: &str = "correct horse";

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("policy/model.conf", include_str!("../../config/policy/model.conf"));
        place.write("policy/policy.csv", POLICY);
        place.write("catalogs/lake.toml", "source = \"local\"\nroot = \"../data\"\n");
        place.write("data/numbers.csv", "id,word\n1,one\n2,two\n");
        place.write("weir.toml", &Self::toml("127.0.0.1:0", "", ""));
        place
    }

    fn toml(postgres: &str, postgres_keys: &str, rest: &str) -> String {
        format!(
            "[postgres]\nlisten = \"{postgres}\"\n{postgres_keys}\n[flight]\nlisten = \"127.0.0.1:0\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[limits]\nmemory = \"1GiB\"\nworker_threads = 2\n{rest}"
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn config(&self) -> Config {
        Config::load(&self.path("weir.toml")).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn add_user(&self) {
        let user = User::new(
            UserName::parse("alice").unwrap(),
            vec![RoleName::parse("analyst").unwrap()],
            TenantName::parse("acme").unwrap(),
            BTreeMap::new(),
            &PASSWORD.to_owned().into(),
        );
        UserStore::open(&self.path("state")).unwrap().add(user.unwrap()).unwrap();
    }

    async fn start(&self) -> Proxy {
        self.add_user();
        Proxy::start(self.config()).await.unwrap()
    }
}

async fn connect(proxy: &Proxy) -> Client {
    let port = proxy.addresses().postgres[0].port();
    let text = format!("host=127.0.0.1 port={port} user=alice dbname=weir password='{PASSWORD}'");
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ready(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /ready HTTP/1.1\r\nhost: weir\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap().to_owned()
}

/// All that a start says, as the command line shows it.
fn said(error: &Error) -> String {
    [Some(error.message.clone()), error.detail.clone(), error.hint.clone()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_can_not_be_whole_says_why_and_leaves_nothing() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    type Break = Box<dyn Fn(&Place)>;
    let cases: [(&str, Break, &[&str]); 8] = [
        (
            "taken port",
            Box::new(move |place| {
                place.write("weir.toml", &Place::toml(&taken.to_string(), "", ""));
            }),
            &[&format!("can't listen on {taken} (postgres.listen)"), "Change postgres.listen"],
        ),
        (
            "an address of another machine",
            Box::new(|place| place.write("weir.toml", &Place::toml("192.0.2.1:0", "", ""))),
            &["can't listen on 192.0.2.1:0", "this machine has no such address"],
        ),
        (
            "a certificate that is none",
            Box::new(|place| {
                place.write("cert.pem", "nothing");
                place.write("key.pem", "nothing");
                let keys = "tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"";
                place.write("weir.toml", &Place::toml("127.0.0.1:0", keys, ""));
            }),
            &["invalid TLS file", "cert.pem", "holds no CERTIFICATE"],
        ),
        (
            "broken rules",
            Box::new(|place| {
                place.write("policy/policy.csv", &format!("{POLICY}q, a\np, alice, x\n"));
            }),
            &["policy.csv: the policy has 2 bad lines", "line 2: unknown rule type", "line 3: "],
        ),
        (
            "another model",
            Box::new(|place| place.write("policy/model.conf", "[matchers]\nm = true\n")),
            &["policy model is not the one"],
        ),
        (
            "users that are not JSON",
            Box::new(|place| {
                place.write("state/users.json", "{}");
                let path = place.path("state/users.json");
                fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            }),
            &["invalid", "users.json"],
        ),
        (
            "a catalog whose url is none",
            Box::new(|place| {
                place.write("catalogs/a.toml", "source = \"postgres\"\nurl = \"mysql://h/x\"\n");
                place.write("catalogs/b.toml", "source = \"postgres\"\nurl = \"here\"\n");
            }),
            &["2 catalogs can't be opened", "catalog \"a\": the url", "catalog \"b\": the url"],
        ),
        (
            "a state folder that is a file",
            Box::new(|place| place.write("state", "")),
            &["could not create", "state"],
        ),
    ];
    for (about, break_it, expected) in cases {
        let place = Place::new();
        break_it(&place);
        let error = Proxy::start(place.config()).await.expect_err(about);
        let text = said(&error);
        for part in expected {
            assert!(text.contains(part), "{about}: {part:?} is not in {text:?}");
        }
        // Nothing holds the folder: the same start fails for the same reason.
        let again = Proxy::start(place.config()).await.expect_err(about);
        assert_eq!(said(&again), text, "{about}");
    }
    drop(holder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_is_refused_until_the_first_has_ended() {
    let place = Place::new();
    let first = place.start().await;
    let error = Proxy::start(place.config()).await.unwrap_err();
    assert!(error.message.starts_with("another weir is running with the state folder"), "{error}");
    // The check needs neither lock nor ports, and changes nothing.
    let mut out = Vec::new();
    assert!(check::check(&place.config(), &mut out).await.unwrap());
    first.shutdown().await;
    Proxy::start(place.config()).await.unwrap().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_answers_and_a_source_that_is_down_stops_nothing() {
    let place = Place::new();
    place.write(
        "catalogs/gone.toml",
        "source = \"postgres\"\nurl = \"postgres://reader@127.0.0.1:9/x\"\nconnect_timeout = \"2s\"\n",
    );
    let proxy = place.start().await;
    let states: Vec<_> =
        proxy.catalogs().into_iter().map(|catalog| (catalog.name, catalog.is_up)).collect();
    assert_eq!(states, [("gone".to_owned(), false), ("lake".to_owned(), true)]);
    assert_eq!(ready(proxy.addresses().http[0]).await, "HTTP/1.1 200 OK");
    let client = connect(&proxy).await;
    let rows = client.query("SELECT word FROM lake.numbers ORDER BY id", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), ["one", "two"]);

    // A new policy holds within a second or two; a broken one changes nothing.
    for (policy, is_visible) in [("", false), ("q, broken\n", false), (POLICY, true)] {
        place.write("policy/policy.csv", policy);
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut is_seen = !is_visible;
        while is_seen != is_visible && Instant::now() < deadline {
            sleep(Duration::from_millis(100)).await;
            is_seen = client.simple_query("SELECT word FROM lake.numbers").await.is_ok();
        }
        assert_eq!(is_seen, is_visible, "{policy:?}");
    }
    proxy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_statements_within_its_bound_and_then_cancels_them() {
    const LONG: &str = "SELECT count(*) FROM lake.many a CROSS JOIN lake.many b CROSS JOIN \
                        lake.many c WHERE a.id * b.id * c.id % 7 = 1";
    const SHORT: &str =
        "SELECT count(*) FROM lake.many a CROSS JOIN lake.many b WHERE a.id * b.id % 7 = 1";
    for (drain, statement, is_answered) in [("60s", SHORT, true), ("1s", LONG, false)] {
        let place = Place::new();
        let numbers: String = (1..=2_000).map(|id| format!("{id}\n")).collect();
        place.write("data/many.csv", &format!("id\n{numbers}"));
        let rest = format!("drain_timeout = \"{drain}\"\n");
        place.write("weir.toml", &Place::toml("127.0.0.1:0", "", &rest));
        let proxy = place.start().await;
        let (address, http) = (proxy.addresses().postgres[0], proxy.addresses().http[0]);
        let idle = connect(&proxy).await;
        let busy = connect(&proxy).await;
        let running = tokio::spawn(async move { busy.simple_query(statement).await });
        sleep(Duration::from_millis(150)).await;
        assert!(!running.is_finished(), "the machine is too quick for this test");

        let begin = Instant::now();
        let shutdown = tokio::spawn(proxy.shutdown());
        if !is_answered {
            sleep(Duration::from_millis(200)).await;
            assert_eq!(ready(http).await, "HTTP/1.1 503 Service Unavailable");
            // Refused or left to wait, but never served.
            let text = format!(
                "host=127.0.0.1 port={} user=alice dbname=weir password='{PASSWORD}'",
                address.port()
            );
            let late = tokio_postgres::connect(&text, NoTls);
            let late = timeout(Duration::from_millis(300), late).await;
            assert!(!matches!(late, Ok(Ok(_))), "a new client is let in");
            assert!(idle.is_closed());
        }
        assert_eq!(running.await.unwrap().is_ok(), is_answered, "{drain}");
        shutdown.await.unwrap();
        let elapsed = begin.elapsed();
        assert!(is_answered || elapsed < Duration::from_secs(10), "{elapsed:?}");
        if !is_answered {
            assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
        }
        assert!(TcpStream::connect(http).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_is_there_and_what_is_wrong() {
    async fn checked(place: &Place) -> (bool, String) {
        let mut out = Vec::new();
        let is_well = check::check(&place.config(), &mut out).await.unwrap();
        (is_well, String::from_utf8(out).unwrap())
    }
    fn has(text: &str, parts: &[&str]) {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(flat.contains(part), "{part:?} is not in\n{text}");
        }
    }
    let place = Place::new();
    let (is_well, text) = checked(&place).await;
    assert!(is_well, "{text}");
    has(
        &text,
        &[
            "policy.csv ok: 1 rule",
            "ok: nobody can log in yet",
            "lake local ok: 1 table in 1 schema",
        ],
    );
    assert!(!place.path("state").exists(), "a check makes nothing");

    // Doubtful lines are told, and are no mistake.
    place.write(
        "policy/policy.csv",
        &format!("{POLICY}p, role:analyst, *, lake.public.x, filter, a, allow\n"),
    );
    let (is_well, text) = checked(&place).await;
    assert!(is_well, "{text}");
    has(&text, &["policy.csv: line 2: nothing is named lake.public.x"]);

    place.add_user();
    place.write("policy/policy.csv", "p, alice, x\n");
    place.write("cert.pem", "nothing");
    place.write("key.pem", "nothing");
    let keys = "tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"";
    place.write("weir.toml", &Place::toml("127.0.0.1:0", keys, ""));
    place.write(
        "catalogs/gone.toml",
        "source = \"postgres\"\nurl = \"postgres://reader@127.0.0.1:9/x\"\nconnect_timeout = \"2s\"\n",
    );
    place.write("catalogs/none.toml", "source = \"local\"\nroot = \"../missing\"\n");
    let (is_well, text) = checked(&place).await;
    assert!(!is_well, "{text}");
    has(
        &text,
        &[
            "WRONG: ",
            "line 1: ",
            "ok: 1 user",
            "tls of postgres 127.0.0.1:0 WRONG: invalid TLS file",
            "gone postgres WRONG: ",
            "lake local ok: 1 table in 1 schema",
            "none local WRONG: ",
        ],
    );
}

#[test]
fn users_are_added_listed_changed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = UserStore::open(folder.path()).unwrap();
    let add = "user add alice --role analyst --role support --tenant acme --attr region=EU \
               --attr region=US --password-stdin";
    for (line, input, expected) in [
        ("user list", "", Ok("there are no users yet: see weir user add --help\n")),
        (add, "short\n", Err("the password is too short")),
        (add, "", Err("the password is too short")),
        (add, "1234567\r\n", Err("the password is too short")),
        (
            add,
            "pass\0word 12\n",
            Err("a password must not be empty and must not contain a null character"),
        ),
        (add, "correct horse\nnot read", Ok("added user \"alice\"\n")),
        (add, "correct horse\n", Err("user \"alice\" already exists")),
        (
            "user list",
            "",
            Ok("NAME   TENANT  ROLES            ATTRIBUTES\n\
                alice  acme    analyst,support  region=EU,US\n"),
        ),
        ("user passwd alice --password-stdin", "short", Err("the password is too short")),
        (
            "user passwd alice --password-stdin",
            "battery staple",
            Ok("changed the password of user \"alice\"\n"),
        ),
        ("user passwd bob --password-stdin", "battery staple", Err("user \"bob\" does not exist")),
        ("user remove bob", "", Err("user \"bob\" does not exist")),
        ("user remove alice", "", Ok("removed user \"alice\"\n")),
        ("user list", "", Ok("there are no users yet: see weir user add --help\n")),
    ] {
        let words = std::iter::once("weir").chain(line.split_whitespace());
        let Command::User(command) = Cli::try_parse_from(words).unwrap().command else {
            panic!("{line}")
        };
        let mut out = Vec::new();
        let done =
            users::run(command, &store, |_| users::read_password(Cursor::new(input)), &mut out);
        let out = String::from_utf8(out).unwrap();
        match expected {
            Ok(expected) => {
                done.unwrap();
                assert_eq!(out, expected, "{line}");
            }
            Err(expected) => {
                assert_eq!(done.unwrap_err().message, expected, "{line}");
                assert_eq!(out, "", "{line}");
            }
        }
    }
}

#[test]
fn a_password_is_one_line_of_bounded_length() {
    use secrecy::ExposeSecret;
    let read = |input: &[u8]| users::read_password(Cursor::new(input.to_vec()));
    for (input, expected) in [
        (&b"a b \n"[..], "a b "),
        (b"a\r\n", "a"),
        (b"a\nb\n", "a"),
        (b"\xc3\xa9", "\u{e9}"),
        (b"", ""),
    ] {
        let password: SecretString = read(input).unwrap();
        assert_eq!(password.expose_secret(), expected);
    }
    assert!(read(&[b'x'; 1024]).is_ok());
    assert!(read(&[b'x'; 1025]).is_err());
    assert!(read(b"\xff\xfe\n").is_err());
}

#[test]
fn the_shipped_policy_is_understood_and_shows_nobody_anything() {
    use crate::policy::{Access, CasbinPolicy, MaskKeys, ObjectPath, Policy};
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policy/policy.csv");
    let policy = fs::read_to_string(policy).unwrap();
    let model = include_str!("../../config/policy/model.conf");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let load = |text: String| {
        runtime.block_on(CasbinPolicy::load(model, &text, MaskKeys::passing())).unwrap()
    };
    let table =
        ObjectPath { catalog: "sales".into(), schema: "public".into(), table: "orders".into() };
    let access = |policy: &CasbinPolicy, role: &str| {
        let principal = crate::auth::Principal {
            name: UserName::parse("alice").unwrap(),
            roles: vec![RoleName::parse(role).unwrap()],
            tenant: TenantName::parse("acme").unwrap(),
            attributes: BTreeMap::new(),
        };
        policy.access(&principal, &table, &["id"])
    };
    let shipped = load(policy.clone());
    for (role, is_denied) in [("analyst", true), ("public", true), ("admin", false)] {
        assert_eq!(access(&shipped, role) == Access::Denied, is_denied, "{role}");
    }
    // Its examples are rules too, once their comment sign is gone.
    let examples: String = policy
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| ["p, ", "g2, "].iter().any(|kind| line.starts_with(kind)))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(examples.lines().count(), 8);
    assert_ne!(access(&load(examples), "analyst"), Access::Denied);
}
