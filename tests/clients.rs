//! Programs that people use, each against a real weir: `tests/clients/` holds what they do.

use std::{
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::harness::{OWNER, User, World, feed, program, shop, tests_folder, world};

/// What a client program finds in its environment.
fn run(world: &World, command: &mut Command) {
    let User { name, password, .. } = world.weir.user("admin");
    let (postgres, flight) = (world.weir.postgres, world.weir.flight);
    command
        .env("WEIR_USER", name)
        .env("WEIR_PASSWORD", password)
        .env(
            "WEIR_DSN",
            format!("postgres://{name}:{password}@127.0.0.1:{postgres}/weir?sslmode=disable"),
        )
        .env("WEIR_JDBC", format!("jdbc:postgresql://127.0.0.1:{postgres}/weir?sslmode=disable"))
        .env("WEIR_FLIGHT", format!("grpc://127.0.0.1:{flight}"));
    let started = Instant::now();
    let (status, output) = feed(command, "");
    assert!(status.success(), "{status}:\n{output}");
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
}

fn python(script: &str) -> (Arc<World>, Command) {
    let mut command = Command::new(program("WEIR_TEST_PYTHON", "python3"));
    command.arg(tests_folder("clients").join(script));
    (world(), command)
}

#[test]
fn psycopg() {
    let (world, mut command) = python("with_psycopg.py");
    run(&world, &mut command);
}

#[test]
fn asyncpg() {
    let (world, mut command) = python("with_asyncpg.py");
    run(&world, &mut command);
}

#[test]
fn adbc() {
    let (world, mut command) = python("with_adbc.py");
    run(&world, &mut command);
}

#[test]
fn pyarrow() {
    let (world, mut command) = python("with_pyarrow.py");
    run(&world, &mut command);
}

/// Statements, prepared statements, metadata, tickets and a slow reader.
#[test]
fn flight_sql() {
    let (world, mut command) = python("flight.py");
    let User { name, password, .. } = world.weir.user("admin");
    command.args(["127.0.0.1", &world.weir.flight.to_string(), name, password]);
    run(&world, &mut command);
}

#[test]
fn pgjdbc() {
    let world = world();
    let driver = std::env::var_os("WEIR_TEST_JDBC").map(PathBuf::from);
    let driver = driver.unwrap_or_else(|| PathBuf::from("/usr/share/java/postgresql.jar"));
    assert!(driver.exists(), "pgjdbc is missing: run tests/run.sh, which installs it");
    let folder = tempfile::tempdir().unwrap();
    let mut compiler = Command::new(program("JAVAC", "javac"));
    compiler.arg("-d").arg(folder.path()).arg(tests_folder("clients").join("Jdbc.java"));
    let (status, output) = feed(&mut compiler, "");
    assert!(status.success(), "{output}");
    let mut command = Command::new(program("JAVA", "java"));
    let path = std::env::join_paths([folder.path(), driver.as_path()]).unwrap();
    run(&world, command.arg("-cp").arg(path).arg("Jdbc"));
}

/// Of each hundred steps of a client at most three may be wrong: what it needs from weir changes with
/// its versions, and its report says which steps they are.
const RIGHT_OF_A_HUNDRED: usize = 97;

/// Runs a program whose steps are judged by themselves (`tests/clients/steps.py`), over the shop.
fn steps(command: &mut Command) {
    let shop = shop();
    let port = shop.weir.postgres.to_string();
    let (name, password) = (OWNER.name, OWNER.password);
    command
        .env(
            "WEIR_DSN",
            format!("postgres://{name}:{password}@127.0.0.1:{port}/shop?sslmode=disable"),
        )
        .env("WEIR_PORT", &port)
        .env("WEIR_USER", name)
        .env("WEIR_PASSWORD", password)
        .env("WEIR_DATABASE", "shop");
    let (status, output) = feed(command, "");
    let counted = output.lines().rev().find_map(|line| line.strip_prefix("steps "));
    let counted = counted.unwrap_or_else(|| panic!("{status}, without an end:\n{output}"));
    let (right, all) = counted.split_once(' ').unwrap();
    let (right, all): (usize, usize) = (right.parse().unwrap(), all.parse().unwrap());
    eprintln!("{right} of {all} steps are right:\n{output}");
    assert!(right * 100 >= all * RIGHT_OF_A_HUNDRED, "{right} of {all} steps are right:\n{output}");
}

fn python_steps(script: &str, arguments: &[&str]) {
    let mut command = Command::new(program("WEIR_TEST_PYTHON", "python3"));
    command.arg(tests_folder("clients").join(script)).args(arguments);
    steps(&mut command);
}

#[test]
fn psycopg2() {
    python_steps("with_psycopg2.py", &[]);
}

#[test]
fn sqlalchemy_and_pandas() {
    python_steps("with_sqlalchemy.py", &["psycopg2"]);
    python_steps("with_sqlalchemy.py", &["psycopg"]);
}

#[test]
fn polars_connectorx_and_adbc() {
    python_steps("with_dataframes.py", &[]);
}

#[test]
fn psqlodbc() {
    python_steps("with_odbc.py", &["UseDeclareFetch=0"]);
    python_steps("with_odbc.py", &["UseDeclareFetch=1;Fetch=2048"]);
}

#[test]
fn duckdb() {
    python_steps("with_duckdb.py", &[]);
}

#[test]
fn node_postgres() {
    let modules = std::env::var_os("WEIR_TEST_NODE_MODULES");
    let modules =
        modules.expect("run tests/run.sh, which installs node-postgres and names its folder");
    let mut command = Command::new(program("NODE", "node"));
    command.arg(tests_folder("clients").join("node_pg.js")).env("NODE_PATH", modules);
    steps(&mut command);
}
