//! A PostgreSQL server of one's own, for as long as a test runs.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Seek},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::free_port;

const HOW_TO_INSTALL: &str = "\
these tests need PostgreSQL's server programs (initdb, postgres), and found none: run tests/run.sh,
or install them (Debian, Ubuntu: apt-get install postgresql), or name their folder in PG_BIN.";

/// A cluster on a free port of loopback, which writes down every statement that reaches it.
pub struct Cluster {
    bin: PathBuf,
    folder: TempDir,
    pub port: u16,
}

impl Cluster {
    pub fn start() -> Self {
        let bin = programs().unwrap_or_else(|| panic!("{HOW_TO_INSTALL}"));
        let folder = tempfile::Builder::new().prefix("weir-pg").tempdir().unwrap();
        own(folder.path());
        let cluster = Self { bin, folder, port: free_port() };
        cluster
            .run("initdb", &["-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
        cluster.launch();
        cluster
    }

    /// Starts the server, again if it was stopped.
    pub fn launch(&self) {
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off \
             -c log_statement=all -c TimeZone=UTC -c max_connections=100",
            self.port,
            self.folder.path().display()
        );
        let log = self.log_path().display().to_string();
        self.run("pg_ctl", &["-w", "-l", &log, "-o", &options, "start"]);
    }

    pub fn stop(&self) {
        self.run("pg_ctl", &["-w", "-m", "immediate", "stop"]);
    }

    pub async fn connect(&self, database: &str) -> tokio_postgres::Client {
        let url = format!("postgres://owner@127.0.0.1:{}/{database}", self.port);
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Runs a script with psql, which is how a human would load it.
    pub fn load(&self, database: &str, script: &Path) {
        let mut command = Command::new(super::program("PSQL", "psql"));
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "owner"]);
        command.arg("-p").arg(self.port.to_string()).args(["-d", database, "-f"]).arg(script);
        run(&mut command);
    }

    /// Where the log ends now.
    pub fn mark(&self) -> usize {
        self.log().len()
    }

    /// What weir sent since the mark. Its statements say who asked, in a comment.
    pub fn statements_since(&self, mark: usize) -> Vec<String> {
        let log = self.log();
        let log = log.get(mark..).unwrap_or_default();
        let mut statements: Vec<String> = Vec::new();
        for line in log.lines() {
            if line.starts_with('\t') {
                if let Some(last) = statements.last_mut() {
                    last.push('\n');
                    last.push_str(line.trim_start());
                }
            } else if let Some((_, statement)) =
                line.split_once("statement: ").or_else(|| line.split_once("execute "))
            {
                statements.push(statement.to_owned());
            }
        }
        statements.retain(|statement| statement.contains("/* weir query="));
        statements
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
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
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
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
    let mut errors = tempfile::tempfile().unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.try_clone().unwrap());
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if !status.success() {
        let mut text = String::new();
        errors.rewind().unwrap();
        errors.read_to_string(&mut text).unwrap();
        let program = command.get_program().to_string_lossy().into_owned();
        let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        panic!("{program} {}: {status}: {text}", arguments.join(" "));
    }
}
