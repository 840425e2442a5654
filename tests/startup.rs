//! What weir says when it can't start, and how it ends.

use std::{fs, net::TcpListener};

use crate::harness::{ADMIN, WeirBuilder, World};

fn plain() -> WeirBuilder {
    WeirBuilder::new().policy("p, role:admin, *, *, select, , allow\n").user(ADMIN)
}

/// Why it did not start: one story, no panic, no backtrace.
fn refusal(builder: WeirBuilder) -> String {
    let Err(refused) = builder.try_start() else { panic!("it started") };
    assert!(!refused.status.success(), "{refused:?}");
    assert!(!refused.output.contains("panicked"), "{}", refused.output);
    refused.output
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    // The harness can't tell weir's door from this one, so the command is run by hand.
    let builder = plain().postgres_port(port);
    builder.write();
    let mut command = crate::harness::weir(&["serve", "--config"]);
    command.arg(builder.config_path());
    let (status, output) = crate::harness::feed(&mut command, "");
    assert!(!status.success());
    assert!(output.contains(&port.to_string()), "{output}");
    assert!(output.contains("another program listens there"), "{output}");
}

#[test]
fn a_missing_folder_is_named() {
    let weir = plain().catalog("lake", "source = \"local\"\nroot = \"nosuch-folder\"\n").start();
    let mut command = crate::harness::weir(&["check", "--config"]);
    let (status, output) = crate::harness::feed(command.arg(weir.config_path()), "");
    assert!(!status.success(), "{output}");
    // The server goes on with the other catalogs, and says so.
    for text in [output, weir.log()] {
        assert!(text.contains("lake") && text.contains("nosuch-folder"), "{text}");
    }
}

#[test]
fn a_missing_configuration_is_named() {
    let (status, output) = crate::harness::feed(
        &mut crate::harness::weir(&["serve", "--config", "/nosuch/weir.toml"]),
        "",
    );
    assert!(!status.success());
    assert!(output.contains("/nosuch/weir.toml"), "{output}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let builder = WeirBuilder::new().catalog("sales", "source = \"postgress\"\nurl = 5\n");
    builder.write();
    let config = "[postgres]\nlisten = \"localhost\"\nlistn = \"x\"\n[limits]\nmax_connections = 0\n\
                  query_timeout = \"soon\"\n[nosuch]\n";
    fs::write(builder.config_path(), config).unwrap();
    for subcommand in ["serve", "check"] {
        let mut command = crate::harness::weir(&[subcommand, "--config"]);
        command.arg(builder.config_path());
        let (status, output) = crate::harness::feed(&mut command, "");
        assert!(!status.success());
        for mistake in
            ["listen", "listn", "max_connections", "query_timeout", "nosuch", "postgress"]
        {
            assert!(output.contains(mistake), "{subcommand}: {mistake} in\n{output}");
        }
        assert!(output.contains("weir.toml:") || output.contains("line"), "{output}");
    }
}

#[test]
fn a_bad_policy_is_refused() {
    let output = refusal(plain().policy("p, role:admin, *, *, select, , Allow\nq, a, b\n"));
    assert!(output.contains("policy.csv"), "{output}");
    assert!(output.contains("line 2") && output.contains("line 3"), "{output}");
}

#[test]
fn a_second_instance_is_refused() {
    let weir = plain().start();
    let mut command = crate::harness::weir(&["serve", "--config"]);
    command.arg(weir.config_path());
    let (status, output) = crate::harness::feed(&mut command, "");
    assert!(!status.success());
    assert!(!output.contains("panicked"), "{output}");
    assert!(output.contains("another weir is running"), "{output}");
}

/// A catalog that can't be reached does not keep the others away.
#[tokio::test]
async fn a_source_that_is_down_does_not_stop_the_start() {
    let port = crate::harness::free_port();
    let builder = plain();
    let root = crate::harness::lake(builder.folder());
    let weir = builder
        .catalog(
            "sales",
            &format!("source = \"postgres\"\nurl = \"postgres://x@127.0.0.1:{port}/x\"\n"),
        )
        .catalog("lake", &format!("source = \"local\"\nroot = \"{}\"\n", root.display()))
        .start();
    let admin = weir.connect("admin").await;
    assert_eq!(admin.value("SELECT count(*) FROM lake.regions").await, "3");
    let mut command = crate::harness::weir(&["check", "--config"]);
    let (status, output) = crate::harness::feed(command.arg(weir.config_path()), "");
    assert!(!status.success(), "{output}");
    assert!(output.contains("sales") && output.contains("lake"), "{output}");
}

#[tokio::test]
async fn a_stop_ends_statements_and_tells_clients() {
    let mut world = World::start_with(|weir| weir.limit("drain_timeout", "\"1s\""));
    let (idle, busy) = (world.weir.connect("admin").await, world.weir.connect("admin").await);
    let running = tokio::spawn(async move {
        let Err(error) = busy.rows("SELECT count(nap) FROM sales.naps").await else { panic!() };
        crate::harness::code(&error)
    });
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let status = world.weir.stop();
    assert!(status.success(), "{status}");
    let code = running.await.unwrap();
    assert!(code == "57P01" || code == "57014", "{code}");
    assert!(idle.rows("SELECT 1").await.is_err());
    let direct = world.cluster.connect("shop").await;
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'weir %' AND state = 'active'";
    let started = std::time::Instant::now();
    while direct.query_one(busy, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(started.elapsed() < std::time::Duration::from_secs(2), "the source still works");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The operator's door: alive, ready, and counting, without a name or a value of anybody.
#[test]
fn operators_see_health_and_metrics() {
    use std::io::{Read, Write};
    let world = crate::harness::world();
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", world.weir.http)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for path in ["/health", "/ready", "/metrics"] {
        assert!(get(path).starts_with("HTTP/1.1 200"), "{path}: {}", get(path));
    }
    let metrics = get("/metrics");
    assert!(metrics.contains("# TYPE weir_"), "{metrics}");
    assert!(!metrics.contains("CANARY"));
    assert!(get("/nosuch").starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn users_can_be_changed_while_it_runs() {
    let weir = plain().start();
    let config = weir.config_path();
    let run = |arguments: &[&str], input: &str| {
        let mut command = crate::harness::weir(arguments);
        let (status, output) = crate::harness::feed(command.arg("--config").arg(&config), input);
        assert!(status.success(), "{arguments:?}: {output}");
        output
    };
    let eve = |password| crate::harness::User { name: "eve", password, role: "", attributes: &[] };
    let open = |password| crate::harness::Connection::open(weir.postgres, eve(password), "weir");
    run(&["user", "add", "eve", "--role=admin", "--tenant=acme", "--password-stdin"], "one-4711");
    let listed = run(&["user", "list"], "");
    assert!(listed.contains("eve") && !listed.contains("4711"), "{listed}");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert!(open("one-4711").await.is_ok());
    run(&["user", "passwd", "eve", "--password-stdin"], "two-4712");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(crate::harness::code(&open("one-4711").await.err().unwrap()), "28P01");
    assert!(open("two-4712").await.is_ok());
    run(&["user", "remove", "eve"], "");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(crate::harness::code(&open("two-4712").await.err().unwrap()), "28P01");
}
