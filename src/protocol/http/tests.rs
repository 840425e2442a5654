#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::*;

#[derive(Default)]
struct Patient {
    catalogs: Mutex<Vec<CatalogState>>,
    is_draining: AtomicBool,
}

impl Vitals for Patient {
    fn catalogs(&self) -> Vec<CatalogState> {
        self.catalogs.lock().unwrap().clone()
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    fn memory_reserved_bytes(&self) -> u64 {
        4096
    }

    fn policy(&self) -> PolicyState {
        PolicyState { version: 7, is_broken: true }
    }
}

struct Door {
    address: SocketAddr,
    patient: Arc<Patient>,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

async fn open(allowed_ips: AllowList) -> Door {
    open_within(Bounds::default(), allowed_ips).await
}

async fn open_within(bounds: Bounds, allowed_ips: AllowList) -> Door {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let patient = Arc::new(Patient::default());
    let state = HttpState { metrics: Metrics::new(), vitals: patient.clone(), allowed_ips };
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(serve_within(bounds, listener, state, shutdown.clone()));
    Door { address, patient, shutdown, served }
}

impl Door {
    /// Sends bytes, and reads until the door closes.
    async fn send(&self, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: weir\r\n\r\n")).await.unwrap()
    }

    fn set(&self, catalogs: &[(&str, bool, Option<&str>)]) {
        *self.patient.catalogs.lock().unwrap() = catalogs
            .iter()
            .map(|(name, is_up, failure)| CatalogState {
                name: (*name).to_owned(),
                is_up: *is_up,
                tables: 3,
                failure: failure.map(str::to_owned),
            })
            .collect();
    }
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn health_is_answered_and_the_connection_ends() {
    let door = open(AllowList::default()).await;
    let answer = door.get("/health").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(body(&answer), "ok");
    for (request, status) in [
        ("GET /else HTTP/1.1\r\nhost: weir\r\n\r\n", "HTTP/1.1 404 "),
        ("POST /ready HTTP/1.1\r\nhost: weir\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 405 "),
        ("nonsense\r\n\r\n", "HTTP/1.1 400 "),
    ] {
        let answer = door.send(request).await.unwrap();
        assert!(answer.starts_with(status), "{request}: {answer}");
    }
}

#[tokio::test]
async fn ready_says_how_each_catalog_is() {
    let door = open(AllowList::default()).await;
    let cases: [(&[_], bool, &str); 5] = [
        (&[], false, "200"),
        (&[("sales", true, None), ("lake", true, None)], false, "200"),
        (&[("sales", false, Some("it is gone")), ("lake", true, None)], false, "200"),
        (&[("sales", false, Some("it is gone"))], false, "503"),
        (&[("sales", true, None)], true, "503"),
    ];
    for (catalogs, is_draining, status) in cases {
        door.set(catalogs);
        door.patient.is_draining.store(is_draining, Ordering::Relaxed);
        let answer = door.get("/ready").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let json: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
        assert_eq!(json["ready"], status == "200");
        assert_eq!(json["draining"], is_draining);
        let shown = json["catalogs"].as_array().unwrap();
        assert_eq!(shown.len(), catalogs.len());
        for (shown, (name, is_up, failure)) in shown.iter().zip(catalogs) {
            let expected = serde_json::json!({
                "name": name, "up": is_up, "tables": 3, "failure": failure,
            });
            assert_eq!(*shown, expected);
        }
    }
}

#[tokio::test]
async fn metrics_are_read_at_each_look() {
    let door = open(AllowList::default()).await;
    door.set(&[("sales", true, None)]);
    let answer = door.get("/metrics").await;
    assert!(answer.contains("content-type: application/openmetrics-text;"), "{answer}");
    assert!(answer.contains("\nweir_catalog_up{catalog=\"sales\"} 1\n"), "{answer}");
    assert!(answer.contains("\nweir_memory_reserved_bytes 4096\n"), "{answer}");
    door.set(&[("sales", false, None)]);
    assert!(door.get("/metrics").await.contains("\nweir_catalog_up{catalog=\"sales\"} 0\n"));
}

#[test]
fn what_may_be_an_address_or_a_secret_is_left_out() {
    for (message, expected) in [
        ("connection refused", "connection refused"),
        ("can't reach the server: timed out.", "can't reach the server: timed out."),
        ("at postgres://u:hunter2@db:5432/x failed", "at … failed"),
        ("password=hunter2 is wrong", "… is wrong"),
        ("no route to db.internal:5432", "no route to …"),
        ("no route to (10.0.0.1)", "no route to …"),
        ("connect to ::1, port 5432", "connect to … port 5432"),
        ("can't read /srv/secret/lake", "can't read …"),
        ("two\nlines\u{7}", "two lines"),
    ] {
        assert_eq!(harmless(message), expected);
    }
    assert_eq!(harmless(&"x".repeat(1000)).len(), 200);
}

#[tokio::test]
async fn who_is_not_on_the_list_gets_no_answer() {
    let door = open(["10.0.0.0/8".parse().unwrap()].into_iter().collect()).await;
    let answer = door.send("GET /health HTTP/1.1\r\nhost: weir\r\n\r\n").await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.is_empty()));
    let door = open(["127.0.0.0/8".parse().unwrap()].into_iter().collect()).await;
    assert_eq!(body(&door.get("/health").await), "ok");
}

/// As many silent clients as there are places: the next one waits until their time is over.
#[tokio::test]
async fn silent_clients_lose_their_places() {
    let bounds = Bounds { connections: 3, deadline: Duration::from_secs(2) };
    let door = open_within(bounds, AllowList::default()).await;
    let mut silent = Vec::new();
    for _ in 0..bounds.connections {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
        silent.push(stream);
    }
    let early = tokio::time::timeout(bounds.deadline / 2, door.get("/health")).await;
    assert!(early.is_err(), "there was a place for one more: {early:?}");
    let late = tokio::time::timeout(bounds.deadline * 3, door.get("/health")).await.unwrap();
    assert_eq!(body(&late), "ok");
    for mut stream in silent {
        let mut answer = String::new();
        // Cut off, with or without an answer.
        let _ = stream.read_to_string(&mut answer).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
}

#[tokio::test]
async fn shutdown_ends_the_door() {
    let door = open(AllowList::default()).await;
    assert_eq!(body(&door.get("/health").await), "ok");
    door.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), door.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(door.address).await.is_err());
}
