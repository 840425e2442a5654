//! Reads the command line, does what it says, and ends with a status that tells how it went.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{Signal, SignalKind, signal};
use weir::{
    auth::{UserName, UserStore},
    cli::{Cli, Command, ConfigArgs, DemoArgs, PolicyCommand, PolicyExplainArgs, UserCommand},
    config::{Config, ConfigErrors},
    demo::{Demo, data::Scale},
    error::{Error, ErrorKind},
    proxy::{self, Proxy},
    telemetry,
};

/// How long tasks may take to be dropped after all is done.
const LAST_TASKS: Duration = Duration::from_secs(1);
/// A second signal means now: as a shell reports it.
const INTERRUPTED: u8 = 130;

/// Batches are large and short-lived; the C library's own allocator gives their pages back to the
/// system each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(failure) => {
            // There is nobody left to tell when this fails.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Demo(args) => demo(&args),
        Command::Serve(args) => serve(&args),
        Command::Check(args) => check(&args),
        Command::User(command) => user(command),
        Command::Policy(PolicyCommand::Explain(args)) => explain(&args),
    }
}

fn serve(args: &ConfigArgs) -> Result<ExitCode, Failure> {
    let config = Config::load(&args.config)?;
    telemetry::init(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    in_runtime(async {
        let mut signals = Signals::new()?;
        let proxy = tokio::select! {
            started = Proxy::start(config) => started?,
            () = signals.next() => return Ok(ExitCode::SUCCESS),
        };
        until_signal(proxy, signals).await
    })
}

fn demo(args: &DemoArgs) -> Result<ExitCode, Failure> {
    let _ = writeln!(io::stderr(), "Sample data in {} …", args.data.display());
    let demo = Demo::prepare(args, Scale::default())?;
    telemetry::init(&demo.config.log)?;
    in_runtime(async {
        let mut signals = Signals::new()?;
        let running = tokio::select! {
            started = demo.start() => started?,
            () = signals.next() => return Ok(ExitCode::SUCCESS),
        };
        write!(io::stdout(), "{}", running.welcome)?;
        io::stdout().flush()?;
        until_signal(running.proxy, signals).await
    })
}

fn check(args: &ConfigArgs) -> Result<ExitCode, Failure> {
    let config = Config::load(&args.config)?;
    let is_well =
        in_runtime(async { Ok(proxy::check::check(&config, &mut io::stdout().lock()).await?) })?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn explain(args: &PolicyExplainArgs) -> Result<ExitCode, Failure> {
    let config = Config::load(&args.config.config)?;
    let is_visible = in_runtime(async {
        Ok(proxy::explain::explain(&config, args, &mut io::stdout().lock()).await?)
    })?;
    Ok(if is_visible { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn user(command: UserCommand) -> Result<ExitCode, Failure> {
    let (UserCommand::Add { config, .. }
    | UserCommand::List { config }
    | UserCommand::Passwd { config, .. }
    | UserCommand::Remove { config, .. }) = &command;
    let config = Config::load(&config.config)?;
    let store = UserStore::open(&config.state.dir)?;
    proxy::users::run(command, &store, ask_password, &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn ask_password(name: &UserName) -> Result<SecretString, Error> {
    if !io::stdin().is_terminal() {
        return proxy::users::read_password(io::stdin().lock());
    }
    let ask = |question: &str| -> io::Result<SecretString> {
        let terminal = console::Term::stderr();
        terminal.write_str(question)?;
        terminal.read_secure_line().map(SecretString::from)
    };
    let password = ask(&format!("Password for {name}: ")).map_err(Error::internal)?;
    let again = ask("Once more: ").map_err(Error::internal)?;
    if password.expose_secret() != again.expose_secret() {
        return Err(Error::new(ErrorKind::InvalidParameter, "the passwords differ"));
    }
    Ok(password)
}

/// Serves until a signal or a failure. After the first signal running statements may end; the
/// second ends all at once.
async fn until_signal(mut proxy: Proxy, mut signals: Signals) -> Result<ExitCode, Failure> {
    let failure = tokio::select! {
        () = signals.next() => None,
        error = proxy.failure() => Some(error),
    };
    tokio::select! {
        () = proxy.shutdown() => {}
        () = signals.next() => return Ok(ExitCode::from(INTERRUPTED)),
    }
    match failure {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(error.into()),
    }
}

fn in_runtime<T>(task: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("weir-io")
        .thread_stack_size(weir::engine::STACK_BYTES)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(task);
    runtime.shutdown_timeout(LAST_TASKS);
    outcome
}

/// What asks us to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Why the process ends with status 1.
enum Failure {
    Config(ConfigErrors),
    Error(Error),
    Io(io::Error),
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self {
            Self::Config(errors) => return write!(f, "{errors}"),
            Self::Io(error) => return write!(f, "weir: {error}"),
            Self::Error(error) => error,
        };
        write!(f, "weir: {}", error.message)?;
        for line in error.detail.iter().flat_map(|detail| detail.lines()) {
            write!(f, "\n  {line}")?;
        }
        // There may be no log yet, where else the story of an internal error would be.
        if let (ErrorKind::Internal, Some(story)) = (error.kind, &error.source) {
            return write!(f, "\n  {story}");
        }
        match &error.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}
