//! A long answer takes no more memory than a short one, by every road.

use futures::TryStreamExt;

use crate::harness::{Weir, World};

const ROWS: usize = 2_000_000;
/// Of the source's connection, one batch of rows, and what waits to be sent.
const ALLOWANCE: u64 = 64 << 20;

/// How far the resident memory rose above where it began, while `work` ran.
async fn growth(weir: &Weir, what: &str, work: impl Future<Output = usize>) {
    weir.forget_peak();
    let (before, _) = weir.memory();
    let rows = work.await;
    let (_, peak) = weir.memory();
    assert_eq!(rows, ROWS, "{what}");
    let grown = peak.saturating_sub(before);
    assert!(grown < ALLOWANCE, "{what}: {} MiB more for {ROWS} rows", grown >> 20);
}

#[tokio::test]
async fn long_answers_take_little_memory() {
    let world = World::start();
    let weir = &world.weir;
    let admin = weir.connect("admin").await;
    let sql = "SELECT id, label, bucket FROM sales.numbers";
    // Once, so that the pools and buffers that stay are there.
    admin.rows("SELECT max(label) FROM sales.numbers").await.unwrap();

    growth(weir, "simple query", async {
        let messages = admin.client.simple_query_raw(sql).await.unwrap();
        messages
            .try_fold(0, |rows, message| async move {
                let is_row = matches!(message, tokio_postgres::SimpleQueryMessage::Row(_));
                Ok(rows + usize::from(is_row))
            })
            .await
            .unwrap()
    })
    .await;

    growth(weir, "extended query", async {
        let rows = admin.client.query_raw(sql, &[] as &[i32]).await.unwrap();
        rows.try_fold(0, |rows, _| async move { Ok(rows + 1) }).await.unwrap()
    })
    .await;

    growth(weir, "COPY TO STDOUT", async {
        let parts = admin.client.copy_out(&format!("COPY ({sql}) TO STDOUT")).await.unwrap();
        let lines = |part: &[u8]| part.iter().filter(|byte| **byte == b'\n').count();
        parts.try_fold(0, |rows, part| async move { Ok(rows + lines(&part)) }).await.unwrap()
    })
    .await;

    let mut admin = weir.connect("admin").await;
    growth(weir, "portal with max_rows", async {
        let transaction = admin.client.transaction().await.unwrap();
        let portal = transaction.bind(sql, &[]).await.unwrap();
        let mut rows = 0;
        loop {
            let page = transaction.query_portal(&portal, 10_000).await.unwrap();
            rows += page.len();
            if page.is_empty() {
                break rows;
            }
        }
    })
    .await;
}

/// The server waits for a slow client, and does not read ahead of it.
#[tokio::test]
async fn a_client_that_does_not_read_holds_no_memory() {
    let world = World::start();
    let weir = &world.weir;
    let admin = weir.connect("admin").await;
    admin.rows("SELECT max(label) FROM sales.numbers").await.unwrap();
    weir.forget_peak();
    let (before, _) = weir.memory();
    let mut sleepers = Vec::new();
    for _ in 0..4 {
        sleepers.push(sleeper(weir));
    }
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let (_, peak) = weir.memory();
    let grown = peak.saturating_sub(before);
    assert!(grown < ALLOWANCE * 2, "{} MiB for {} clients", grown >> 20, sleepers.len());
    assert_eq!(admin.value("SELECT count(*) FROM sales.customers").await, "5");
}

/// psql asks for everything and is stopped before it reads.
fn sleeper(weir: &Weir) -> Stopped {
    use std::process::{Command, Stdio};
    let user = weir.user("admin");
    let mut child = Command::new(crate::harness::program("PSQL", "psql"))
        .args(["-X", "-h", "127.0.0.1", "-U", user.name, "-d", "weir"])
        .args(["-v", "FETCH_COUNT=0", "-c", "SELECT * FROM sales.endless"])
        .arg("-p")
        .arg(weir.postgres.to_string())
        .env("PGPASSWORD", user.password)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let stopped = Command::new("kill").args(["-STOP", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success() && child.try_wait().unwrap().is_none());
    Stopped(child)
}

struct Stopped(std::process::Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
