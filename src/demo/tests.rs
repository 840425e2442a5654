#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;

use secrecy::ExposeSecret;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::*;

const SMALL: Scale = Scale { sales: 20_000 };

fn args(data: &Path) -> DemoArgs {
    let any = "127.0.0.1:0".parse().unwrap();
    DemoArgs {
        data: data.to_owned(),
        postgres_listen: any,
        flight_listen: any,
        http_listen: any,
        postgres_urls: Vec::new(),
    }
}

/// Logs in with what the printed line of a user says.
async fn connect(welcome: &str, user: &str) -> Client {
    let line = welcome
        .lines()
        .find(|line| line.contains("psql -h") && line.ends_with(&format!("-U {user} weir")))
        .unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let [password, "psql", "-h", host, "-p", port, "-U", user, database] = words[..] else {
        panic!("{line}")
    };
    let password = password.strip_prefix("PGPASSWORD=").unwrap();
    let text = format!("host={host} port={port} user={user} dbname={database} password={password}");
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn rows(client: &Client, query: &str) -> Result<Vec<Vec<Option<String>>>, String> {
    let messages = client.simple_query(query).await.map_err(|error| match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => error.to_string(),
    })?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            _ => None,
        })
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_works_and_stays_true_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let demo = Demo::prepare(&args(&data), SMALL).unwrap();
    let second = Demo::prepare(&args(&data), SMALL).unwrap_err();
    assert!(second.message.contains("another weir is running"), "{second}");
    let RunningDemo { proxy, welcome } = demo.start().await.unwrap();

    let analyst = connect(&welcome, "analyst").await;
    for (about, query) in welcome::QUERIES {
        let printed = query.lines().all(|line| welcome.contains(line));
        assert!(printed && welcome.contains(about), "{about}");
        let rows = rows(&analyst, query).await.unwrap_or_else(|error| panic!("{about} {error}"));
        assert!(rows.len() >= 3, "{about} {rows:?}");
    }
    let manager = connect(&welcome, "manager_eu").await;
    let chatbot = connect(&welcome, "chatbot").await;
    let regions = "SELECT DISTINCT region FROM retail.sales ORDER BY region";
    let customer = "SELECT email, phone FROM retail.customers WHERE customer_id = 1";
    let buyers = "SELECT customer_id FROM retail.sales LIMIT 1";
    for (client, query, expected) in [
        (&analyst, regions, Ok("APAC EU US")),
        (&manager, regions, Ok("EU")),
        (&chatbot, regions, Ok("APAC EU US")),
        (&analyst, customer, Ok("***.com NULL")),
        (&manager, customer, Ok("***.com NULL")),
        (&chatbot, customer, Err("42P01")),
        (&chatbot, buyers, Err("42703")),
        (&chatbot, "SELECT count(*) FROM retail.products", Ok("400")),
        (&chatbot, "SELECT count(*) FROM retail.inventory", Err("42P01")),
    ] {
        let found = rows(client, query).await.map(|rows| {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
            rows.into_iter().flatten().map(shown).collect::<Vec<_>>().join(" ")
        });
        match (found, expected) {
            // A mask keeps the first letter.
            (Ok(found), Ok(expected)) if query == customer => {
                assert_eq!(found.get(1..), Some(expected), "{query}");
            }
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{query}"),
            (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{query}: {found}"),
            (found, expected) => panic!("{query}: {found:?}, expected {expected:?}"),
        }
    }
    drop((analyst, manager, chatbot));
    proxy.shutdown().await;

    let secrets = data.join("state/demo-passwords.json");
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
    let marker = data.join("retail/public/sales/part-000.parquet");
    let written = fs::metadata(&marker).unwrap().modified().unwrap();
    let policy = data.join("policy/policy.csv");
    let mine = format!("{}# mine\n", fs::read_to_string(&policy).unwrap());
    fs::write(&policy, &mine).unwrap();

    let again = Demo::prepare(&args(&data), SMALL).unwrap().start().await.unwrap();
    let without_ports = |text: &str| -> Vec<String> {
        let keep = |line: &&str| !line.contains("127.0.0.1") || line.contains("PGPASSWORD");
        let words = |line: &str| line.split(" -p ").next().unwrap_or_default().to_owned();
        text.lines().filter(keep).map(words).collect()
    };
    assert_eq!(without_ports(&again.welcome), without_ports(&welcome));
    connect(&again.welcome, "manager_eu").await;
    assert_eq!(fs::metadata(&marker).unwrap().modified().unwrap(), written);
    assert_eq!(fs::read_to_string(&policy).unwrap(), mine);
    again.proxy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_a_demo_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Demo::prepare(&args(&file.join("below")), SMALL).unwrap_err();
    assert!(error.message.contains("could not create"), "{error}");

    let other = folder.path().join("other");
    fs::create_dir_all(other.join("retail/public")).unwrap();
    let error = Demo::prepare(&args(&other), SMALL).unwrap_err();
    assert!(error.message.contains("holds other data"), "{error}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let args = DemoArgs { flight_listen: address, ..args(&folder.path().join("demo")) };
    let error = Demo::prepare(&args, SMALL).unwrap().start().await.unwrap_err();
    assert!(
        error.message.starts_with(&format!("can't listen on {address} (--flight-listen)")),
        "{error}"
    );
}

#[test]
fn databases_are_readable_by_a_rule_that_is_added_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let url = "postgres://reader:hunter2@127.0.0.1:9/orders".to_owned();
    let rule = "p, role:public, *, orders, select, , allow";
    for _ in 0..2 {
        let args = DemoArgs { postgres_urls: vec![url.clone().into()], ..args(&data) };
        let demo = Demo::prepare(&args, SMALL).unwrap();
        let names: Vec<_> = demo.config.catalogs.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, [RETAIL, "orders"]);
        let policy = fs::read_to_string(data.join("policy/policy.csv")).unwrap();
        assert_eq!(policy.lines().filter(|line| *line == rule).count(), 1);
        assert!(!policy.contains("hunter2"));
    }
}

#[test]
fn passwords_need_no_quotes() {
    for _ in 0..100 {
        let password = new_password();
        let text = password.expose_secret();
        assert_eq!(text.len(), 16);
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric()), "{text}");
    }
}
