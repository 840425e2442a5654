//! A PostgreSQL server of one's own, for as long as a test runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "a source is tried without the proxy around it")]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{array::RecordBatch, util::pretty::pretty_format_batches};
use datafusion::{
    execution::SessionStateBuilder,
    prelude::{SessionConfig, SessionContext},
};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::KIND;
use crate::{CatalogName, OptionValue, Options, Source, TableDefinition};

const HOW_TO_INSTALL: &str = "\
these tests need PostgreSQL's server programs (initdb, postgres), and found none.
Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql;
or name their folder in PG_BIN.";

/// A cluster on a free port of loopback. It ends with this value.
pub(super) struct Cluster {
    bin: PathBuf,
    folder: TempDir,
    pub port: u16,
}

impl Cluster {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more settings, and TLS when one of them is `ssl`.
    pub fn start_with(settings: &[&str]) -> Self {
        let bin = programs().unwrap_or_else(|| panic!("{HOW_TO_INSTALL}"));
        let folder = tempfile::Builder::new().prefix("weir-pg").tempdir().unwrap();
        let port = free_port();
        let cluster = Self { bin, folder, port };
        own(cluster.folder.path());
        cluster
            .run("initdb", &["-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
        let mut options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off \
             -c autovacuum=off",
            cluster.folder.path().display()
        );
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        let log = cluster.folder.path().join("log").display().to_string();
        cluster.run("pg_ctl", &["-w", "-l", &log, "-o", &options, "start"]);
        cluster
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A private key or the like, as PostgreSQL wants it.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.folder().join("data").join(name);
        fs::write(&path, content).unwrap();
        own(&path);
        run(Command::new("chmod").arg("600").arg(&path));
    }

    pub fn restart(&self) {
        self.run("pg_ctl", &["-w", "-m", "fast", "restart"]);
    }

    pub async fn admin(&self) -> tokio_postgres::Client {
        self.connect("owner", "postgres").await
    }

    pub async fn connect(&self, user: &str, database: &str) -> tokio_postgres::Client {
        let url = format!("postgres://{user}@127.0.0.1:{}/{database}", self.port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Waits until no session of a catalog runs a statement.
    pub async fn is_quiet_within(&self, limit: Duration) -> bool {
        const BUSY: &str = "SELECT count(*) FROM pg_stat_activity \
                            WHERE application_name LIKE 'weir %' AND state = 'active'";
        let admin = self.admin().await;
        let started = Instant::now();
        loop {
            let busy: i64 = admin.query_one(BUSY, &[]).await.unwrap().get(0);
            if busy == 0 {
                return true;
            }
            if started.elapsed() > limit {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = unprivileged(&self.bin.join(program));
        command.arg("-D").arg(self.folder.path().join("data")).args(arguments);
        run(command.current_dir(self.folder.path()));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut command = unprivileged(&self.bin.join("pg_ctl"));
        command.arg("-D").arg(self.folder.path().join("data")).args(["-m", "immediate", "stop"]);
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("PG_BIN").map(PathBuf::from).into_iter().collect();
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// PostgreSQL refuses to run as root.
fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn own(path: &Path) {
    if is_root() {
        run(Command::new("chown").arg("postgres").arg(path));
    }
}

/// The server outlives its starter, so it must not hold the starter's pipes.
fn run(command: &mut Command) {
    let errors = tempfile::tempfile().unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.try_clone().unwrap());
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if !status.success() {
        use std::io::{Read, Seek};
        let (mut errors, mut text) = (errors, String::new());
        errors.rewind().unwrap();
        errors.read_to_string(&mut text).unwrap();
        panic!("{command:?}: {status}: {text}");
    }
}

/// A catalog over a cluster, and a session that sees its tables by their bare names.
pub(super) struct Weir {
    pub source: Arc<dyn Source>,
}

impl Weir {
    pub fn open(cluster: &Cluster, options: &[(&'static str, OptionValue)]) -> Self {
        let url = format!("postgres://owner@127.0.0.1:{}/postgres", cluster.port);
        let mut all = Options::default();
        all.set("url", OptionValue::Text(url));
        for (name, value) in options {
            all.set(name, value.clone());
        }
        let name = CatalogName::parse("sales").unwrap();
        Self { source: (KIND.open)(&name, all).unwrap() }
    }

    pub async fn tables(&self) -> Vec<Arc<TableDefinition>> {
        self.source.discover().await.unwrap().into_iter().map(Arc::new).collect()
    }

    pub async fn table(&self, name: &str) -> Arc<TableDefinition> {
        let tables = self.tables().await;
        tables.into_iter().find(|table| table.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// A session over all tables, under one `weir.pushdown`.
    pub async fn session(&self, mode: crate::sql::PushdownMode) -> SessionContext {
        let mut config = SessionConfig::new().with_target_partitions(2);
        crate::sql::JoinKeys::configure(config.options_mut());
        self.session_with(mode, config).await
    }

    pub async fn session_with(
        &self,
        mode: crate::sql::PushdownMode,
        config: SessionConfig,
    ) -> SessionContext {
        let state = SessionStateBuilder::new_with_default_features().with_config(config);
        let state = state.with_physical_optimizer_rule(Arc::new(crate::sql::JoinKeys)).build();
        let context = SessionContext::new_with_state(state);
        for definition in self.tables().await {
            let provider = self.source.table(&definition);
            let table = provider.downcast_ref::<crate::sql::RemoteTable>().unwrap();
            let table = Arc::new(table.with_pushdown(mode));
            context.register_table(format!("\"{}\"", definition.name), table).unwrap();
        }
        context
    }
}

pub(super) async fn run_sql(
    context: &SessionContext,
    sql: &str,
) -> datafusion::error::Result<Vec<RecordBatch>> {
    context.sql(sql).await?.collect().await
}

/// The answer as sorted lines of a table.
pub(super) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(1)
        .map(|line| line.trim_matches('|').trim().to_owned())
        .collect();
    lines.sort();
    lines
}
