//! Ways to speak with weir: a connection for SQL and SQLSTATEs, psql, and any other program.

use std::{
    ops::Deref,
    process::{Command, ExitStatus},
    time::Duration,
};

use tokio_postgres::{Config, NoTls, SimpleQueryMessage, error::SqlState};

use super::{User, Weir};

/// A client's connection to a Postgres door.
pub struct Connection {
    pub client: tokio_postgres::Client,
    /// Ends when the connection does.
    pub socket: tokio::task::JoinHandle<()>,
}

/// Cut, as a killed client cuts it: without a goodbye.
impl Drop for Connection {
    fn drop(&mut self) {
        self.socket.abort();
    }
}

impl Deref for Connection {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl Connection {
    pub async fn open(
        port: u16,
        user: User,
        database: &str,
    ) -> Result<Self, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(port).user(user.name).password(user.password);
        config.dbname(database).connect_timeout(Duration::from_secs(20));
        let (client, connection) = config.connect(NoTls).await?;
        let socket = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { client, socket })
    }

    /// The rows of a statement, in simple mode; a NULL is `NULL`.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        Ok(rows(&self.client.simple_query(sql).await?))
    }

    /// One value of one row.
    pub async fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", told(&error)));
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}: {rows:?}");
        rows[0][0].clone()
    }

    /// The first column, as lines.
    pub async fn lines(&self, sql: &str) -> String {
        let rows = self.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", told(&error)));
        rows.into_iter().map(|mut row| row.remove(0)).collect::<Vec<_>>().join("\n")
    }

    /// A statement that must fail: its SQLSTATE.
    pub async fn refusal(&self, sql: &str) -> String {
        match self.client.simple_query(sql).await {
            Ok(messages) => panic!("{}: no error, but {:?}", short(sql), rows(&messages)),
            Err(error) => code(&error),
        }
    }
}

impl Weir {
    /// A connection of a user to the database that shows every catalog.
    pub async fn connect(&self, name: &str) -> Connection {
        self.connect_to(name, "weir").await
    }

    pub async fn connect_to(&self, name: &str, database: &str) -> Connection {
        let opened = Connection::open(self.postgres, self.user(name), database).await;
        opened.unwrap_or_else(|error| panic!("{name}: {}", told(&error)))
    }

    /// psql, without anybody's settings.
    pub fn psql(&self, name: &str, database: &str, arguments: &[&str]) -> (ExitStatus, String) {
        let user = self.user(name);
        let mut command = Command::new(super::program("PSQL", "psql"));
        command.args(["-X", "-h", "127.0.0.1", "-U", user.name, "-d", database]);
        command.arg("-p").arg(self.postgres.to_string()).args(arguments);
        command
            .env("PGPASSWORD", user.password)
            .env("PAGER", "cat")
            .env("PGCLIENTENCODING", "UTF8");
        super::feed(&mut command, "")
    }
}

pub fn rows(messages: &[SimpleQueryMessage]) -> Vec<Vec<String>> {
    let text = |row: &tokio_postgres::SimpleQueryRow, index| {
        row.get(index).map_or_else(|| "NULL".to_owned(), str::to_owned)
    };
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|index| text(row, index)).collect())
            }
            _ => None,
        })
        .collect()
}

/// The SQLSTATE; an error without one is told in full.
pub fn code(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(|| format!("no SQLSTATE: {error:?}"), |code| code.code().to_owned())
}

/// Everything that a client is told.
pub fn told(error: &tokio_postgres::Error) -> String {
    let Some(error) = error.as_db_error() else { return format!("{error:?}") };
    let part = |name: &str, text: Option<&str>| text.map(|text| format!("\n{name}: {text}"));
    format!(
        "{}: {}{}{}",
        SqlState::code(error.code()),
        error.message(),
        part("DETAIL", error.detail()).unwrap_or_default(),
        part("HINT", error.hint()).unwrap_or_default()
    )
}

fn short(sql: &str) -> String {
    sql.chars().take(200).collect()
}
