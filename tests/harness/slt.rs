//! Runs `.slt` files through the Postgres door, each in simple and in extended mode.
//!
//! `connection analyst` asks the next statement as user `analyst`; `connection analyst@sales` does so
//! in database `sales`. Without it, the user is `admin`. An empty text is shown as `(empty)`.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner};
use tokio_postgres::{
    Row, SimpleQueryMessage,
    types::{FromSql, Type},
};

use super::{ADMIN, Connection, Weir, clients::told, rows};

#[derive(Debug, Clone, Copy)]
pub enum Mode {
    Simple,
    Extended,
}

/// Runs every file of `tests/slt/<topic>`; the failure of one does not hide another's.
pub async fn run_topic(weir: &Weir, topic: &str) {
    let folder = super::tests_folder("slt").join(topic);
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no file in {}", folder.display());
    let mut failures = Vec::new();
    for file in &files {
        for mode in [Mode::Simple, Mode::Extended] {
            failures.extend(run_file(weir, file, mode).await.err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Goes on after a failure, so that one run tells them all.
async fn run_file(weir: &Weir, file: &Path, mode: Mode) -> Result<(), String> {
    let records = sqllogictest::parse_file::<DefaultColumnType>(file).unwrap();
    let mut names = first_uses(&records);
    let mut runner = Runner::new(move || {
        let name = names.pop_front().expect("a name for each connection");
        async move { Ok(Engine { connection: connect(weir, &name).await, mode }) }
    });
    // Simple mode says no types.
    if matches!(mode, Mode::Extended) {
        runner.with_column_validator(sqllogictest::strict_column_validator);
    }
    let mut failures = String::new();
    for record in records {
        if let Err(error) = runner.run_async(record).await {
            failures.push_str(&format!("{mode:?}: {}\n", error.display(false)));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// The runner opens connections in the order of their first use, and does not say their names.
fn first_uses(records: &[Record<DefaultColumnType>]) -> VecDeque<String> {
    let (mut known, mut names) = (Vec::new(), VecDeque::new());
    for record in records {
        let (Record::Statement { connection, .. } | Record::Query { connection, .. }) = record
        else {
            continue;
        };
        if known.contains(&connection) {
            continue;
        }
        known.push(connection);
        names.push_back(match connection {
            sqllogictest::Connection::Default => ADMIN.name.to_owned(),
            sqllogictest::Connection::Named(name) => name.clone(),
        });
    }
    names
}

async fn connect(weir: &Weir, name: &str) -> Connection {
    let (user, database) = name.split_once('@').unwrap_or((name, "weir"));
    weir.connect_to(user, database).await
}

struct Engine {
    connection: Connection,
    mode: Mode,
}

/// A refusal, with all that the client is told.
#[derive(Debug, Clone)]
struct Failure(Arc<tokio_postgres::Error>);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&told(&self.0))
    }
}

impl std::error::Error for Failure {}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(Arc::new(error))
    }
}

#[async_trait]
impl AsyncDB for Engine {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        match self.mode {
            Mode::Simple => self.simple(sql).await,
            Mode::Extended => self.extended(sql).await,
        }
    }

    async fn shutdown(&mut self) {
        self.connection.socket.abort();
    }

    fn error_sql_state(error: &Failure) -> Option<String> {
        error.0.code().map(|code| code.code().to_owned())
    }
}

impl Engine {
    async fn simple(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let messages = self.connection.client.simple_query(sql).await?;
        let described = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::RowDescription(columns) => Some(columns.len()),
            _ => None,
        });
        let Some(columns) = described else { return Ok(DBOutput::StatementComplete(0)) };
        let types = vec![DefaultColumnType::Any; columns];
        let rows = rows(&messages).into_iter().map(shown).collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn extended(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let client = &self.connection.client;
        let statement = client.prepare(sql).await?;
        let rows = client.query(&statement, &[]).await?;
        if statement.columns().is_empty() && rows.is_empty() {
            return Ok(DBOutput::StatementComplete(0));
        }
        let types = statement.columns().iter().map(|column| kind(column.type_())).collect();
        let rows = rows.iter().map(text).map(shown).collect();
        Ok(DBOutput::Rows { types, rows })
    }
}

fn shown(row: Vec<String>) -> Vec<String> {
    row.into_iter()
        .map(|value| if value.is_empty() { "(empty)".to_owned() } else { value })
        .collect()
}

fn kind(data_type: &Type) -> DefaultColumnType {
    match *data_type {
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => DefaultColumnType::Integer,
        Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn text(row: &Row) -> Vec<String> {
    (0..row.len())
        .map(|index| {
            let value: Option<Shown> = row
                .try_get(index)
                .unwrap_or_else(|error| panic!("{}: {error}", row.columns()[index].name()));
            value.map_or_else(|| "NULL".to_owned(), |value| value.0)
        })
        .collect()
}

/// A row of whatever types; what has no text of its own is shown by its bytes.
pub fn any_text(row: &Row) -> Vec<String> {
    let value = |index| match row.try_get::<_, Option<Shown>>(index) {
        Ok(value) => value.map_or_else(|| "NULL".to_owned(), |value| value.0),
        Err(_) => match row.try_get::<_, Option<Bytes>>(index) {
            Ok(bytes) => bytes.map_or_else(|| "NULL".to_owned(), |bytes| bytes.0),
            Err(error) => error.to_string(),
        },
    };
    (0..row.len()).map(value).collect()
}

struct Bytes(String);

impl<'a> FromSql<'a> for Bytes {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A binary value as PostgreSQL would print it.
pub struct Shown(pub String);

impl<'a> FromSql<'a> for Shown {
    fn from_sql(
        data_type: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let text = match *data_type {
            Type::BOOL => if bool::from_sql(data_type, raw)? { "t" } else { "f" }.to_owned(),
            Type::INT2 => i16::from_sql(data_type, raw)?.to_string(),
            Type::INT4 => i32::from_sql(data_type, raw)?.to_string(),
            Type::INT8 => i64::from_sql(data_type, raw)?.to_string(),
            Type::OID => u32::from_sql(data_type, raw)?.to_string(),
            Type::FLOAT4 => f32::from_sql(data_type, raw)?.to_string(),
            Type::FLOAT8 => f64::from_sql(data_type, raw)?.to_string(),
            Type::NUMERIC => numeric(raw),
            Type::DATE => date(i32::from_be_bytes(raw.try_into()?)).to_string(),
            Type::TIMESTAMP => timestamp(i64::from_be_bytes(raw.try_into()?)),
            Type::TIMESTAMPTZ => timestamp(i64::from_be_bytes(raw.try_into()?)) + "+00",
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
                String::from_utf8(raw.to_owned())?
            }
            _ => return Err(format!("scripts can't show {data_type}: cast it to text").into()),
        };
        Ok(Self(text))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn date(days: i32) -> chrono::NaiveDate {
    let epoch = chrono::NaiveDate::from_ymd_opt(2000, 1, 1).unwrap();
    epoch + chrono::TimeDelta::days(days.into())
}

fn timestamp(microseconds: i64) -> String {
    let epoch = date(0).and_hms_opt(0, 0, 0).unwrap();
    let time = epoch + chrono::TimeDelta::microseconds(microseconds);
    let text = time.format("%F %T%.6f").to_string();
    match text.strip_suffix(".000000") {
        Some(whole) => whole.to_owned(),
        None => text.trim_end_matches('0').to_owned(),
    }
}

/// PostgreSQL manual, numeric_send: digits of base 10,000.
pub fn numeric(raw: &[u8]) -> String {
    let word = |index: usize| i16::from_be_bytes([raw[index * 2], raw[index * 2 + 1]]);
    let (count, weight, scale) = (word(0), word(1), usize::try_from(word(3)).unwrap());
    match word(2) {
        -0x4000 => return "NaN".to_owned(),
        -0x3000 => return "Infinity".to_owned(),
        -0x1000 => return "-Infinity".to_owned(),
        _ => {}
    }
    let sign = if word(2) == 0 { "" } else { "-" };
    let digit = |place: i16| {
        let index = weight - place;
        let is_stored = (0..count).contains(&index);
        if is_stored { word(4 + usize::try_from(index).unwrap()) } else { 0 }
    };
    let whole: String =
        (0..=weight.max(0)).rev().map(|place| format!("{:04}", digit(place))).collect();
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if scale == 0 {
        return format!("{sign}{whole}");
    }
    let groups = i16::try_from(scale.div_ceil(4)).unwrap();
    let part: String = (1..=groups).map(|place| format!("{:04}", digit(-place))).collect();
    format!("{sign}{whole}.{}", &part[..scale])
}

#[test]
fn binary_values_are_shown_as_postgresql_prints_them() {
    let raw = |words: &[i16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    for (words, expected) in [
        (&[2, 0, 0, 2, 12, 3400][..], "12.34"),
        (&[1, 1, 0x4000, 0, 5], "-50000"),
        (&[1, -1, 0, 4, 7], "0.0007"),
        (&[0, 0, 0, 2], "0.00"),
        (&[0, 0, -0x4000, 0], "NaN"),
    ] {
        assert_eq!(numeric(&raw(words)), expected);
    }
    assert_eq!(timestamp(0), "2000-01-01 00:00:00");
    assert_eq!(timestamp(-500_000), "1999-12-31 23:59:59.5");
    assert_eq!(timestamp(10_000_000), "2000-01-01 00:00:10");
    assert_eq!(timestamp(60_000_000 * 600), "2000-01-01 10:00:00");
    assert_eq!(date(-1).to_string(), "1999-12-31");
}
