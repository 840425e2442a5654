//! Starts what a scenario needs: a PostgreSQL of its own, and a real `weir serve` before it.
//!
//! Invariants: everything listens on loopback and ends with the value that started it. When a weir
//! ends, its log is searched for passwords and canaries.

pub mod clients;
pub mod fault;
pub mod frontend;
pub mod postgres;
mod server;
mod shop;
pub mod slt;
pub mod tap;
pub mod wire;
mod world;

pub use clients::{Connection, code, rows};
pub use postgres::Cluster;
pub use server::{User, Weir, WeirBuilder, feed, weir};
pub use shop::{OWNER, shop};
pub use world::{ADMIN, World, files, lake, world};

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the ports that the kernel gives to others, and each of them once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 200).unwrap() * 50;
    loop {
        let port = 20_000 + process + NEXT.fetch_add(1, Ordering::Relaxed) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn tests_folder(name: &str) -> PathBuf {
    repository().join("tests").join(name)
}

/// A program that a test needs. A missing one is a failure that says how to get it.
pub fn program(variable: &str, name: &str) -> PathBuf {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let found = named.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.exists())
    });
    match found {
        Some(path) if path.exists() => path,
        _ => panic!(
            "this test needs {name}, and {variable} does not name it: run tests/run.sh, \
             which installs it and sets {variable}"
        ),
    }
}
