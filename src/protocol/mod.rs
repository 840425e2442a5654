//! The doors: Postgres wire, Arrow Flight SQL, and HTTP for operators.

pub mod flight;
pub mod http;
pub mod pgwire;
mod standing;
pub mod tls;
