//! The PostgreSQL door: frames, sessions, and the values that travel in them (PostgreSQL manual,
//! chapter "Frontend/Backend Protocol").
//!
//! Invariants: an error before login ends the connection. Rows are encoded from Arrow columns and
//! written as they come; a slow reader slows its query and nothing else. Every wait ends with a
//! cancel request, a timeout, the client's end or the server's.

mod calendar;
mod connection;
mod decode;
mod encode;
mod guard;
mod reply;
mod rows;
mod serve;
mod startup;
mod travel;
mod types;

#[cfg(test)]
mod oracle;

pub use calendar::Zone;
pub use decode::{Parameter, decode_parameter};
pub use encode::{CopyEncoder, CopyFormat, CsvOptions, Encoder, Format, TextOptions};
pub use guard::{Bind, FrameLimits, FrameReader, Frontend, MAX_STARTUP_BYTES, Target};
pub use serve::{PostgresDoor, serve};
pub use startup::{
    CancelRequest, DEFAULT_LOGIN_TIMEOUT, Handshake, Login, StartupContext, StartupParameters,
    handshake,
};
pub use types::{PgColumn, arrow_type, type_size};
