//! weir as its users meet it: a real process, a real PostgreSQL behind it, real clients before it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    // `config` reads the environment of the program; here it names the programs of the tests.
    clippy::disallowed_methods
)]

mod harness;

mod clients;
mod differential;
mod expressions;
mod files;
mod limits;
mod outages;
mod pgclients;
mod policy;
mod psql;
mod pushdown;
mod readonly;
mod scripts;
mod standing;
mod startup;
mod streaming;
mod tidy;
mod types;
mod wire;
