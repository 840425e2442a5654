//! Who was let in, and what was granted, may end: at the next message, and within rows that are read.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::harness::{ADMIN, Connection, World, clients::told, code, feed, weir};

/// Long enough for a busy machine: weir itself takes less than a second.
const WITHIN: Duration = Duration::from_secs(20);

impl World {
    /// Adds lines to the policy.
    fn rule(&self, lines: &str) {
        let path = self.weir.folder().join("policy/policy.csv");
        let policy = fs::read_to_string(&path).unwrap() + lines;
        let new = path.with_extension("new");
        fs::write(&new, policy).unwrap();
        fs::rename(new, path).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = weir(arguments);
        let (status, output) = feed(command.arg("--config").arg(self.weir.config_path()), "");
        (status.success(), output)
    }
}

#[tokio::test]
async fn a_portal_that_is_half_read_ends_with_its_grant() {
    let world = World::start();
    let mut analyst = world.weir.connect("analyst").await;
    let transaction = analyst.client.transaction().await.unwrap();
    let sql = "SELECT c.id FROM sales.customers c, generate_series(1, 1000000) g";
    let portal = transaction.bind(sql, &[]).await.unwrap();
    let rows = transaction.query_portal(&portal, 2).await.unwrap();
    assert_eq!(rows.len(), 2);
    // What is read is not touched by this.
    world.rule("p, role:analyst, *, sales.public.orders, select, , deny\n");
    let deadline = Instant::now() + WITHIN;
    while !world.weir.log().contains("policy reloaded") {
        assert!(Instant::now() < deadline, "{}", world.weir.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(transaction.query_portal(&portal, 2).await.unwrap().len(), 2);

    world.rule("p, role:analyst, *, sales.public.customers.id, mask, null, allow\n");
    let deadline = Instant::now() + WITHIN;
    let error = loop {
        match transaction.query_portal(&portal, 2).await {
            Ok(_) => assert!(Instant::now() < deadline, "the right is still there"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(code(&error), "42501", "{}", told(&error));
}

#[tokio::test]
async fn a_session_ends_with_its_user() {
    let world = World::start();
    let analyst = world.weir.connect("analyst").await;
    assert_eq!(analyst.value("SELECT 1").await, "1");
    let (is_done, output) = world.command(&["user", "remove", "analyst"]);
    assert!(is_done, "{output}");
    let deadline = Instant::now() + WITHIN;
    let error = loop {
        match analyst.client.simple_query("SELECT 1").await {
            Ok(_) => assert!(Instant::now() < deadline, "the session goes on"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(code(&error), "28000", "{}", told(&error));
    assert!(analyst.client.simple_query("SELECT 1").await.is_err());
    assert_eq!(world.weir.connect("admin").await.value("SELECT 1").await, "1");
}

#[tokio::test]
async fn doors_are_by_rule_once_a_rule_names_them() {
    let world = World::start();
    let analyst = world.weir.connect("analyst").await;
    world.rule("p, role:admin, *, server.postgres, connect, 127.0.0.0/8, allow\n");
    let deadline = Instant::now() + WITHIN;
    let error = loop {
        match analyst.client.simple_query("SELECT 1").await {
            Ok(_) => assert!(Instant::now() < deadline, "the session goes on"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(code(&error), "28000", "{}", told(&error));
    let user = world.weir.user("analyst");
    let error = Connection::open(world.weir.postgres, user, "weir").await.err().unwrap();
    assert_eq!(code(&error), "28000", "{}", told(&error));
    assert_eq!(world.weir.connect(ADMIN.name).await.value("SELECT 1").await, "1");
}

/// A line of `/metrics`, without its name.
fn metric(world: &World, name: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", world.weir.http)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: weir\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().to_owned()
}

#[test]
fn a_broken_policy_is_told_and_changes_nothing() {
    let world = World::start();
    let states = |world: &World| {
        (metric(world, "weir_policy_version "), metric(world, "weir_policy_broken "))
    };
    let wait_for = |expected: (&str, &str)| {
        let deadline = Instant::now() + WITHIN;
        while states(&world) != (expected.0.to_owned(), expected.1.to_owned()) {
            assert!(Instant::now() < deadline, "{expected:?}: {}", world.weir.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_for(("1", "0"));
    let path = world.weir.folder().join("policy/policy.csv");
    let before = fs::read_to_string(&path).unwrap();
    world.rule("p, role:analyst, *, sales, select, , permit\n");
    wait_for(("1", "1"));
    let wait_for_words = |words: &str| {
        let deadline = Instant::now() + WITHIN;
        while !world.weir.log().contains(words) {
            assert!(Instant::now() < deadline, "{words}: {}", world.weir.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_for_words("the policy before stays in force");
    wait_for_words("unknown effect");
    let (is_well, told) = world.command(&["check"]);
    assert!(!is_well && told.contains("unknown effect"), "{told}");
    fs::write(&path, before + "p, role:nobody, *, sales, select, , allow\n").unwrap();
    wait_for(("2", "0"));
    wait_for_words("nobody is role:nobody");
}

#[test]
fn the_policy_is_explained_and_checked_by_its_commands() {
    let world = World::start();
    let sql = "SELECT id, email FROM sales.customers";
    let mark = world.cluster.mark();
    let (is_done, told) = world.command(&["policy", "explain", "--as", "analyst", sql]);
    assert!(is_done, "{told}");
    for part in [
        "table sales.public.customers",
        "rows: all",
        "column email: masked by partial(1, 4)",
        "column ssn: hidden",
        "customers.ssn, select, , deny",
        "PolicyBarrierExec",
        "SELECT",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let sent = world.cluster.statements_since(mark).join("\n");
    assert!(!sent.contains("FROM public.customers") && !sent.contains("\"email\" FROM"), "{sent}");

    let hidden = ["policy", "explain", "--as", "analyst", "--why-denied", "sales.public.secrets"];
    let (is_done, told) = world.command(&hidden);
    assert!(is_done && told.contains("sales.public.secrets, select, , deny"), "{told}");
    let refused = ["policy", "explain", "--as", "stranger", "SELECT * FROM sales.customers"];
    let (is_done, told) = world.command(&refused);
    assert!(!is_done && told.contains("refused (42P01)"), "{told}");
    let (is_done, told) = world.command(&["policy", "explain", "--as", "nobody", "SELECT 1"]);
    assert!(!is_done && told.contains("user \"nobody\" does not exist"), "{told}");

    world.rule("p, role:analist, *, sales.public.orders, filter, reigon = 'EU', allow\n");
    let (is_done, told) = world.command(&["check"]);
    assert!(is_done, "{told}");
    assert!(told.contains(": nobody is role:analist"), "{told}");
    assert!(told.contains("can't be applied to sales.public.orders"), "{told}");
}
