//! A real `weir serve`, as a child process with a configuration of its own.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{free_port, repository};

const STARTS_WITHIN: Duration = Duration::from_secs(30);
const STOPS_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub name: &'static str,
    pub password: &'static str,
    pub role: &'static str,
    pub attributes: &'static [(&'static str, &'static str)],
}

/// What a weir is started with.
pub struct WeirBuilder {
    folder: TempDir,
    postgres: u16,
    flight: u16,
    http: u16,
    limits: String,
    catalogs: usize,
    users: Vec<(&'static str, User)>,
    policy: String,
    canaries: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
}

/// A weir that did not start: its status and what it said.
#[derive(Debug)]
pub struct Refused {
    pub status: ExitStatus,
    pub output: String,
}

impl WeirBuilder {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("weir-test").tempdir().unwrap();
        for name in ["catalogs", "policy"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let model = repository().join("config/policy/model.conf");
        fs::copy(model, folder.path().join("policy/model.conf")).unwrap();
        let (postgres, flight, http) = (free_port(), free_port(), free_port());
        let (limits, policy) = (String::new(), String::new());
        let (users, canaries, variables) = (Vec::new(), vec!["CANARY".to_owned()], Vec::new());
        let catalogs = 0;
        Self {
            folder,
            postgres,
            flight,
            http,
            limits,
            catalogs,
            users,
            policy,
            canaries,
            variables,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("weir.toml")
    }

    /// A key of the section `limits`.
    pub fn limit(mut self, key: &str, value: &str) -> Self {
        writeln!(self.limits, "{key} = {value}").unwrap();
        self
    }

    pub fn postgres_port(mut self, port: u16) -> Self {
        self.postgres = port;
        self
    }

    pub fn catalog(mut self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(format!("catalogs/{name}.toml")), text).unwrap();
        self.catalogs += 1;
        self
    }

    /// A variable of the environment that it runs in.
    pub fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    pub fn user(self, user: User) -> Self {
        self.user_of("acme", user)
    }

    pub fn user_of(mut self, tenant: &'static str, user: User) -> Self {
        self.canaries.push(user.password.to_owned());
        self.users.push((tenant, user));
        self
    }

    /// Its log may hold values, because its policy has a hole on purpose.
    pub fn leaky(mut self) -> Self {
        self.canaries.clear();
        self
    }

    pub fn policy(mut self, rules: &str) -> Self {
        self.policy.push_str(rules);
        self
    }

    /// Writes the files and adds the users, with the program's own commands.
    pub fn write(&self) {
        let config = format!(
            "[postgres]\nlisten = \"127.0.0.1:{}\"\n[flight]\nlisten = \"127.0.0.1:{}\"\n\
             [http]\nlisten = \"127.0.0.1:{}\"\n[limits]\n{}[log]\nlevel = \"debug\"\n",
            self.postgres, self.flight, self.http, self.limits
        );
        fs::write(self.config_path(), config).unwrap();
        fs::write(self.folder.path().join("policy/policy.csv"), &self.policy).unwrap();
        for (tenant, user) in &self.users {
            let attributes =
                user.attributes.iter().map(|(key, value)| format!("--attr={key}={value}"));
            let mut command = weir(&["user", "add", user.name]);
            command.args(["--role", user.role, "--tenant", tenant, "--password-stdin"]);
            command.args(attributes).arg("--config").arg(self.config_path());
            let (status, output) = feed(&mut command, user.password);
            assert!(status.success(), "weir user add {}: {output}", user.name);
        }
    }

    pub fn start(self) -> Weir {
        match self.try_start() {
            Ok(weir) => weir,
            Err(refused) => panic!("weir serve: {}\n{}", refused.status, refused.output),
        }
    }

    pub fn try_start(self) -> Result<Weir, Refused> {
        self.write();
        let log = self.folder.path().join("log");
        let output = File::create(&log).unwrap();
        let mut command = weir(&["serve", "--config"]);
        command.arg(self.config_path()).stdin(Stdio::null());
        command.envs(self.variables.iter().copied());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let mut child = command.spawn().unwrap();
        let started = Instant::now();
        while !is_open(self.postgres) || !is_open(self.http) {
            if let Some(status) = child.try_wait().unwrap() {
                let output = fs::read_to_string(&log).unwrap();
                return Err(Refused { status, output });
            }
            if started.elapsed() > STARTS_WITHIN {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("weir did not open its doors: {}", fs::read_to_string(&log).unwrap());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let Self { folder, postgres, flight, http, users, canaries, .. } = self;
        let users = users.into_iter().map(|(_, user)| user).collect();
        Ok(Weir { child, folder, postgres, flight, http, users, canaries })
    }
}

/// A running weir. It ends with this value, and then its log must hold no secret.
pub struct Weir {
    child: Child,
    folder: TempDir,
    pub postgres: u16,
    pub flight: u16,
    pub http: u16,
    users: Vec<User>,
    canaries: Vec<String>,
}

impl Weir {
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("weir.toml")
    }

    pub fn user(&self, name: &str) -> User {
        let found = self.users.iter().find(|user| user.name == name);
        *found.unwrap_or_else(|| panic!("no user {name}"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Resident memory in bytes: now, and the highest since [`Weir::forget_peak`].
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let kilobytes = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
        };
        (kilobytes("VmRSS:"), kilobytes("VmHWM:"))
    }

    /// proc(5), clear_refs: 5 resets the highest resident memory.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }

    /// Asks it to end, as an operator would, and says how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        if let Some(status) = self.child.try_wait().unwrap() {
            return status;
        }
        let pid = self.pid().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if asked.elapsed() > STOPS_WITHIN {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!("weir did not stop within {STOPS_WITHIN:?}:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            let log = self.log();
            let tail = log.lines().rev().take(20).collect::<Vec<_>>();
            eprintln!("the end of weir's log:");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
            return;
        }
        self.stop();
        let log = self.log();
        for canary in &self.canaries {
            assert!(!log.contains(canary.as_str()), "{canary} is in the log:\n{log}");
        }
    }
}

/// The program that is tested; `WEIR_TEST_PROGRAM` names another build of it.
pub fn weir(arguments: &[&str]) -> Command {
    let other = std::env::var_os("WEIR_TEST_PROGRAM");
    let mut command = Command::new(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_weir").into()));
    command.args(arguments);
    command
}

/// Runs a command with a standard input; its status, and all that it printed.
pub fn feed(command: &mut Command, input: &str) -> (ExitStatus, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that ends early does not read; what it prints says why.
    let _ = child.stdin.take().unwrap().write_all(format!("{input}\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status, text(&output.stdout) + &text(&output.stderr))
}

fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
