//! A SQL proxy over many databases and files. The modules are listed in the order in which a query
//! meets them; each calls only the ones after it.

pub mod protocol;

pub mod auth;
pub mod session;

pub mod admission;
pub mod engine;

pub mod policy;

pub mod federation;

pub mod meaning;

pub mod audit;

// Leaves: every module may use them.
pub mod config;
pub mod error;
pub mod telemetry;

// Around the path: the command line, the demonstration, and building the proxy out of its parts.
pub mod cli;
pub mod demo;
pub mod proxy;
