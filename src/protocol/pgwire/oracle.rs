//! Compares what we write and read with a real PostgreSQL, which these tests start for themselves.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use datafusion::{
    arrow::{
        array::*,
        buffer::{OffsetBuffer, ScalarBuffer},
        datatypes::*,
    },
    common::ScalarValue,
};
use futures::TryStreamExt;
use tokio_postgres::{
    Client, NoTls, SimpleQueryMessage,
    types::{FromSql, IsNull, ToSql, Type},
};
use weir_catalogs::field;

use super::{
    CopyEncoder, CopyFormat, CsvOptions, Encoder, Format, Parameter, PgColumn, TextOptions, Zone,
    arrow_type, decode_parameter, types::oid,
};
use crate::error::Result;

// ---- a server ----

struct Postgres {
    server: Child,
    directory: tempfile::TempDir,
}

impl Postgres {
    /// The server that the tests share while one of them runs.
    fn shared() -> Arc<Self> {
        static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut server = SERVER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(running) = server.upgrade() {
            return running;
        }
        let started = Arc::new(Self::start());
        *server = Arc::downgrade(&started);
        started
    }

    fn start() -> Self {
        let binaries = Self::binaries();
        let directory = tempfile::tempdir().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(directory.path()));
        }
        let data = directory.path().join("data");
        let mut initdb = unprivileged(&binaries.join("initdb"));
        run(initdb
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data));
        // Only a socket in our own directory: no port to collide on.
        let server = unprivileged(&binaries.join("postgres"))
            .args(["-F", "-c", "listen_addresses=", "-k"])
            .arg(directory.path())
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { server, directory }
    }

    fn binaries() -> PathBuf {
        let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .map(|version| version.path().join("bin"))
            .filter(|binaries| binaries.join("initdb").exists())
            .collect();
        versions.sort();
        versions.pop().expect(
            "this test compares with a real PostgreSQL, which is not installed: \
             `apt-get install postgresql` puts it into /usr/lib/postgresql",
        )
    }

    async fn connect(&self) -> Client {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.directory.path()).user("postgres").dbname("postgres");
        for _ in 0..300 {
            if let Ok((client, connection)) = config.connect(NoTls).await {
                tokio::spawn(connection);
                return client;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("PostgreSQL did not start within 30 seconds");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown, which also frees its shared memory.
        let pid = self.server.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.server.wait();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// PostgreSQL refuses to run as root.
fn unprivileged(binary: &Path) -> Command {
    if !is_root() {
        return Command::new(binary);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(binary);
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

// ---- bytes in and out of the driver ----

/// A value as its bytes.
struct Raw(Option<Vec<u8>>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(
        _: &Type,
        raw: &'a [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw.to_vec())))
    }

    fn from_sql_null(
        _: &Type,
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[derive(Debug)]
struct RawParameter(Vec<u8>);

impl ToSql for RawParameter {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// PostgreSQL's text and binary of the one value that a query returns.
async fn ask(client: &Client, sql: &str) -> Result<(Value, Value, Type), tokio_postgres::Error> {
    let mut text = None;
    for message in client.simple_query(sql).await? {
        if let SimpleQueryMessage::Row(row) = message {
            text = Some(row.get(0).map(|text| text.as_bytes().to_vec()));
        }
    }
    let row = client.query_one(sql, &[]).await?;
    let Raw(binary) = row.get(0);
    Ok((text.unwrap(), binary, row.columns()[0].type_().clone()))
}

type Value = Option<Vec<u8>>;

fn shown(value: &Value) -> String {
    match value {
        None => "NULL".to_string(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => format!("{text:?}"),
            _ => format!("{bytes:02x?}"),
        },
    }
}

// ---- our side ----

fn column_of(array: &ArrayRef, pg_type: &str) -> FieldRef {
    let metadata = HashMap::from([(field::PG_TYPE.to_string(), pg_type.to_string())]);
    Arc::new(Field::new("x", array.data_type().clone(), true).with_metadata(metadata))
}

/// The values of one column in one format, out of the DataRow messages that we write.
fn encode(column: &FieldRef, array: &ArrayRef, format: Format, zone: &Zone) -> Result<Vec<Value>> {
    let schema = Arc::new(Schema::new(vec![Arc::clone(column)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(array)]).unwrap();
    let encoder = Encoder::new(&schema, &[format], zone.clone())?;
    let mut out = Vec::new();
    // In two ranges, as a caller with a bounded buffer would.
    let half = batch.num_rows() / 2;
    encoder.encode_rows(&batch, 0..half, &mut out)?;
    encoder.encode_rows(&batch, half..batch.num_rows(), &mut out)?;

    let mut values = Vec::new();
    let mut rest = out.as_slice();
    let number = |bytes: &[u8]| i32::from_be_bytes(bytes.try_into().unwrap());
    while !rest.is_empty() {
        assert_eq!(rest[0], b'D');
        let length = number(&rest[1..5]) as usize;
        let row;
        (row, rest) = rest.split_at(length + 1);
        assert_eq!(row[5..7], [0, 1]);
        let field = number(&row[7..11]);
        values.push((field >= 0).then(|| row[11..].to_vec()));
        assert_eq!(row.len() - 11, field.max(0) as usize);
    }
    assert_eq!(values.len(), array.len());
    Ok(values)
}

fn encode_one(value: &ScalarValue, pg_type: &str, format: Format, zone: &Zone) -> Result<Value> {
    let array = value.to_array().unwrap();
    Ok(encode(&column_of(&array, pg_type), &array, format, zone)?.remove(0))
}

// ---- values by hand ----

/// Type, literals that PostgreSQL accepts, literals that it refuses.
const LITERALS: &[(&str, &[&str], &[&str])] = &[
    (
        "boolean",
        &["t", "true", " TRUE ", "tr", "y", "yes", "on", "1", "f", "fal", "no", "of", "off", "0"],
        &["", "o", "2", "truee", "10"],
    ),
    (
        "smallint",
        &["0", "-0", "32767", "-32768", " 7 ", "+7", "007"],
        &[
            "",
            "-",
            "+-1",
            "1.0",
            "32768",
            "-32769",
            "1e2",
            "1 2",
            "٣",
            "99999999999999999999999999",
        ],
    ),
    ("integer", &["2147483647", "-2147483648"], &["2147483648", "a", "1,000"]),
    (
        "bigint",
        &["9223372036854775807", "-9223372036854775808"],
        &["9223372036854775808", "999999999999999999999999999999999999999999999"],
    ),
    ("oid", &["0", "4294967295", "-1", "26"], &["4294967296", "-2147483649", "pg_class"]),
    (
        "real",
        &[
            "0",
            "-0",
            "1",
            "0.1",
            "1e-4",
            "1e-5",
            "123456",
            "999999",
            "1e6",
            "1234567",
            "16777216",
            "33554433",
            "3.4028235e38",
            "1.1754944e-38",
            "1e-45",
            "NaN",
            "Infinity",
            "-inf",
            "1e10",
            "8388608.5",
            "9.5367431640625e-07",
        ],
        &["", "1e39", "1e-50", "one", "1e", "--1"],
    ),
    (
        "double precision",
        &[
            "0",
            "-0",
            "1",
            "-1.5",
            "0.1",
            "1e-4",
            "0.00012345",
            "1e-5",
            "123456789012345",
            "999999999999999",
            "1e15",
            "1e14",
            "1e20",
            "1e22",
            "1e23",
            "8.5e23",
            "9007199254740993",
            "4.35",
            "1e300",
            "1.7976931348623157e308",
            "5e-324",
            "2.2250738585072014e-308",
            "NaN",
            "inf",
            "-Infinity",
            "+1",
            ".5",
            "5.",
            "1E5",
            "9.5367431640625e-07",
        ],
        &["", ".", "1e400", "-1e400", "1e-400", "e5", "1.5.5", "nanx", "1_000"],
    ),
    (
        "numeric",
        &[
            "0",
            "-0",
            "0.00",
            "1",
            "-1",
            "1.50",
            "00012.3400",
            "12345678901234567890.123456789",
            "0.0000000000000000000000000000000000001",
            "1e10",
            "1.5e-10",
            "-12e3",
            ".5",
            "5.",
            "99999999999999999999999999999999999999999999999999999999999999999999999999.99",
            "10000",
            "100000000",
            "0.0001",
            "0.00001",
            "9999.9999",
        ],
        &["", ".", "1e", "e", "abc", "1..2", "1 2", "0x1f", "1_0"],
    ),
    ("text", &["", "a b", "é😀", "NULL", "\t\n\\"], &[]),
    ("character varying(3)", &["", "abc"], &[]),
    ("character(4)", &["ab  ", "abcd"], &[]),
    ("name", &["", "pg_class"], &[]),
    ("\"char\"", &["", "a", "ab"], &[]),
    ("json", &["{\"a\": [1, null, \"x\"]}", " 1 ", "\"\\u00e9\""], &["", "{", "{a: 1}", "01"]),
    ("jsonb", &["{\"a\": [1, null, \"x\"]}", "\"é\"", "null"], &["", "nul", "[1,]"]),
    (
        "uuid",
        &[
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ],
        &[
            "",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0e-ebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ],
    ),
    (
        "bytea",
        &["", "\\x", "\\xDEADbeef", "\\x de ad", "abc", "a\\\\b", "\\001\\377", "é"],
        &["\\x1", "\\xzz", "\\", "\\9", "\\400", "\\x1 2"],
    ),
    (
        "date",
        &[
            "2024-02-29",
            "1970-01-01",
            "1999-12-31",
            "0001-01-01",
            "0001-12-31 BC",
            "4714-11-24 BC",
            "5874897-12-31",
            "10000-01-01",
            "20240229",
            "2024-1-5",
            "epoch",
            "2024-01-01 23:59:59",
            "2024-01-01 +03",
            "2024-01-01T10:00:00Z",
            "0045-02-29 BC",
            " 2024-06-15 ",
            "0045-02-28 BC",
        ],
        &[
            "",
            "2024-02-30",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "0000-01-01",
            "2024-01",
            "5874898-01-01",
            "4714-11-23 BC",
            "2024-01-01x",
            "2024-01-01 25:00",
            "0044-02-29 BC",
            "2024-01-32",
        ],
    ),
    (
        "time without time zone",
        &[
            "00:00",
            "04:05:06",
            "04:05:06.789",
            "23:59:59.999999",
            "24:00:00",
            "23:59:60",
            "04:05:06.7890004",
            "04:05:06.7890006",
            "23:59:59.9999999",
            "040506",
            "04:05 PM",
            "12:00 am",
            "12:30 pm",
            "10:00:00+02",
            "10:00:00 +05:30",
            "2024-01-01 10:11:12",
            "0405",
            "T10:11:12",
            "00:00:00.0000005",
            "00:00:00.0000025",
        ],
        &["", "25:00", "24:00:01", "10:60", "10:00:61", "13:00 PM", "10", "10:00:00 BC x", "a"],
    ),
    (
        "timestamp without time zone",
        &[
            "2024-02-29 10:11:12",
            "2024-02-29T10:11:12.5",
            "2024-02-29 10:11:12.123456",
            "2024-02-29 10:11:12.1234565",
            "2024-02-29 10:11:12.1234575",
            "1969-12-31 23:59:59.999999",
            "0001-01-01 00:00:00",
            "0001-12-31 23:59:59 BC",
            "4714-11-24 00:00:00 BC",
            "99999-01-01 00:00:00",
            "294246-12-31 23:59:59.999999",
            "2024-01-01",
            "20240101T101112",
            "2024-01-01 24:00:00",
            "2024-06-30 23:59:60",
            "2024-01-01 10:00:00+05",
            "epoch",
            "2024-01-01 10:00 PM",
            "2024-01-01 10:00:00 Europe/Berlin",
            "2024-01-01 10:00:00Z",
        ],
        &[
            "",
            "2024-02-30 10:00",
            "2024-01-01 10",
            "294277-01-01",
            "4714-11-23 23:59:59 BC",
            "2024-01-01 24:00:01",
            "2024-01-01T",
            "2024-01-01 10:00:00+16:00",
            "10:00",
            "2024-01-01 10:00 Nowhere/Land",
            "2024-01-01 10:00:00 foo bar",
        ],
    ),
    (
        "timestamp with time zone",
        &[
            "2024-02-29 10:11:12",
            "2024-07-01 10:11:12.5+02",
            "2024-07-01 10:11:12-0530",
            "2024-07-01 10:11:12+05:30:15",
            "2024-07-01T10:11:12Z",
            "2024-07-01 10:11:12 UTC",
            "2024-07-01 10:11:12 America/New_York",
            "2024-07-01 10:11:12 europe/berlin",
            "2024-03-31 02:30:00",
            "2024-10-27 02:30:00",
            "2024-03-10 02:30:00",
            "2024-11-03 01:30:00",
            "1900-01-01 00:00:00",
            "1800-01-01 00:00:00+00",
            "0044-03-15 12:00:00 BC",
            "2050-07-01 12:00:00",
            "2150-07-01 12:00:00",
            "9999-12-31 23:59:59.999999",
            "200000-07-04 00:00:00+00",
            "2024-07-01 +03",
            "epoch",
            "2024-04-07 01:45:00",
            "2087-06-01 00:00:00+00",
        ],
        &["", "2024-07-01 10:11:12+25", "2024-07-01 10:11:12+", "2024-07-01 10:11:12+02+03"],
    ),
    (
        "interval",
        &[
            "0",
            "1 day",
            "-1 day",
            "1 year 2 mons 3 days 04:05:06.789",
            "1 mon -1 day",
            "-1 mon +1 day",
            "-1 year -2 mons +3 days -04:05:06",
            "1-2",
            "-1-2 +3 -4:05:06",
            "1-2 3 4:05:06",
            "P1Y2M3DT4H5M6S",
            "P-1Y2M",
            "PT-0.5S",
            "P1W",
            "P1.5D",
            "P0.5Y",
            "1.5 days",
            "1.5 mons",
            "1.3 years",
            "2.5 weeks",
            "1 hour ago",
            "@ 1 day 2 hours ago",
            "1.000001 secs",
            "100:00:00",
            "04:05",
            "04:05.5",
            "3 04:05:06",
            "1 decade",
            "2 centuries",
            "1 millennium",
            "10 ms",
            "10 us",
            "1day",
            "1h30m",
            "1 m",
            ".5 day",
            "5",
            "-5.5",
            "178956970 years",
            "-178956970 years -8 mons",
            "2147483647 days",
            "2562047 hours",
            "12 mons",
            "-13 mons",
            "0.7 days",
            "1 day -00:00:00.000001",
            "3.333 hours",
            "0.0000005 secs",
            "0.99999999 mins",
        ],
        &[
            "",
            "day",
            "1 parsec",
            "1 2 3",
            "P",
            "P1H",
            "PT1D",
            "1-13",
            "1:60",
            "178956971 years",
            "2147483648 days",
            "1 day ago x",
            "--1 day",
            "9999999999999999999 us",
        ],
    ),
    (
        "integer[]",
        &[
            "{}",
            "{1}",
            "{1,NULL,-3}",
            "{{1,2},{3,4}}",
            " { 1 , 2 } ",
            "{{{1}},{{2}}}",
            "[1:2]={1,2}",
            "[1:1][1:2]={{1,2}}",
            "{null}",
            "{\"1\"}",
            "{}  ",
        ],
        &[
            "",
            "{",
            "}",
            "{1",
            "{1,}",
            "{,1}",
            "{1}}",
            "{{1},{2,3}}",
            "{{1},2}",
            "{1,{2}}",
            "1",
            "{1}x",
            "[1:3]={1,2}",
            "[1:2]{1,2}",
            "{a}",
            "{{},1}",
            "{\"NULL\"}",
            "{{{{{{{1}}}}}}}",
            "{1\"2\"}",
        ],
    ),
    (
        "text[]",
        &[
            "{a,\"b c\",NULL,\"NULL\",\"\",\"\\\"q\\\\\"}",
            "{ a b , c }",
            "{a\\,b}",
            "{\\NULL}",
            "{nUll}",
            "{\"{}\",\"(\",\"\t\",\"a,b\"}",
            "{é,😀}",
            "{' '}",
            "{a\\ }",
        ],
        &["{\"a}", "{a\"b\"}", "{\"a\"b}", "{a{b}"],
    ),
    ("numeric[]", &["{1.0,2.5,NULL}", "{1.50,0.01}"], &["{x}"]),
    ("boolean[]", &["{t,f,NULL}"], &["{maybe}"]),
    ("double precision[]", &["{1,1e20,NaN,-0}"], &["{1e400}"]),
    ("timestamp without time zone[]", &["{2024-01-01,\"2024-01-01 10:00\"}"], &["{x}"]),
    ("uuid[]", &["{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"], &["{x}"]),
    ("jsonb[]", &["{\"{\\\"a\\\": 1}\"}"], &["{x}"]),
    ("bytea[]", &["{\"\\\\x00ff\",abc}"], &["{\"\\\\xz\"}"]),
    ("date[]", &["{2024-01-01,NULL}"], &["{2024-13-01}"]),
    ("interval[]", &["{1 day,\"-1 mons +1 day\"}"], &["{x}"]),
];

/// Literals that PostgreSQL reads and we refuse, with the SQLSTATE we answer.
const REFUSED: &[(&str, &str, &str)] = &[
    ("numeric", "NaN", "0A000"),
    ("numeric", "-Infinity", "0A000"),
    ("numeric", "1e76", "22003"),
    (
        "numeric",
        "0.00000000000000000000000000000000000000000000000000000000000000000000000000001",
        "22003",
    ),
    ("date", "infinity", "22003"),
    ("date", "1/2/2024", "22007"),
    ("date", "today", "22007"),
    ("timestamp without time zone", "-infinity", "22003"),
    ("timestamp without time zone", "294247-06-01", "22003"),
    ("interval", "3000000 hours", "22003"),
    ("interval", "PT", "22007"),
    ("interval", "P1", "22007"),
    ("integer[]", "[0:1]={1,2}", "0A000"),
];

/// SQLSTATEs of ours that stand for one of PostgreSQL's that we have no kind for.
fn same_state(ours: &str, theirs: &str) -> bool {
    ours == theirs
        || matches!(
            (ours, theirs),
            ("22007", "22008" | "22009" | "22023")
                | ("22003", "22008" | "22015")
                | ("22007", "22015")
                | ("22P02", "22023" | "2202E" | "54000")
        )
}

fn type_oid(pg_type: &str) -> u32 {
    let element = pg_type.strip_suffix("[]").unwrap_or(pg_type);
    let element = match element {
        "boolean" => oid::BOOL,
        "smallint" => oid::INT2,
        "integer" => oid::INT4,
        "bigint" => oid::INT8,
        "oid" => oid::OID,
        "real" => oid::FLOAT4,
        "double precision" => oid::FLOAT8,
        "numeric" => oid::NUMERIC,
        "text" => oid::TEXT,
        "character varying(3)" => oid::VARCHAR,
        "character(4)" => oid::BPCHAR,
        "name" => oid::NAME,
        "\"char\"" => oid::CHAR,
        "json" => oid::JSON,
        "jsonb" => oid::JSONB,
        "uuid" => oid::UUID,
        "bytea" => oid::BYTEA,
        "date" => oid::DATE,
        "time without time zone" => oid::TIME,
        "timestamp without time zone" => oid::TIMESTAMP,
        "timestamp with time zone" => oid::TIMESTAMPTZ,
        "interval" => oid::INTERVAL,
        other => panic!("no oid for {other}"),
    };
    match pg_type.ends_with("[]") {
        true => super::types::array_of(element).unwrap(),
        false => element,
    }
}

fn literal(text: &str, pg_type: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n");
    format!("SELECT E'{escaped}'::{pg_type}")
}

#[tokio::test]
async fn literals_are_read_and_written_like_postgres() {
    let postgres = Postgres::shared();
    let client = postgres.connect().await;
    let mut wrong = Vec::new();
    for zone_name in ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "-3.5"] {
        client.batch_execute(&format!("SET TimeZone = '{zone_name}'")).await.unwrap();
        let zone = Zone::parse(zone_name).unwrap();
        for (pg_type, accepted, refused) in LITERALS {
            // One zone is enough for what does not depend on it.
            if zone_name != "UTC" && *pg_type != "timestamp with time zone" {
                continue;
            }
            for text in *accepted {
                check_literal(&client, pg_type, text, &zone, &mut wrong).await;
            }
            for text in *refused {
                check_refusal(&client, pg_type, text, &zone, &mut wrong).await;
            }
        }
    }
    for (pg_type, text, state) in REFUSED {
        let parameter = Parameter {
            oid: type_oid(pg_type),
            format: Format::Text,
            bytes: Some(text.as_bytes()),
        };
        let expected = arrow_type(parameter.oid).unwrap();
        match decode_parameter(parameter, &expected, &Zone::Utc) {
            Err(error) if error.kind.sqlstate() == *state => {}
            other => wrong.push(format!("{pg_type} {text:?} is {other:?}, not {state}")),
        }
        if let Err(error) = ask(&client, &literal(text, pg_type)).await {
            wrong.push(format!("{pg_type} {text:?}: PostgreSQL refuses it too: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

async fn check_literal(
    client: &Client,
    pg_type: &str,
    text: &str,
    zone: &Zone,
    wrong: &mut Vec<String>,
) {
    let (their_text, their_binary, _) = match ask(client, &literal(text, pg_type)).await {
        Ok(answer) => answer,
        Err(error) => {
            wrong.push(format!("{pg_type} {text:?}: PostgreSQL refuses it: {error}"));
            return;
        }
    };
    let oid = type_oid(pg_type);
    // With nothing expected, a numeric keeps the scale that it was written with.
    let expected = DataType::Null;
    for (format, bytes) in
        [(Format::Text, text.as_bytes()), (Format::Binary, their_binary.as_deref().unwrap())]
    {
        let parameter = Parameter { oid, format, bytes: Some(bytes) };
        let value = match decode_parameter(parameter, &expected, zone) {
            Ok(value) => value,
            Err(error) => {
                wrong.push(format!("{pg_type} {text:?} read from {format:?}: {error:?}"));
                continue;
            }
        };
        let described = PgColumn::of(&column_of(&value.to_array().unwrap(), pg_type));
        if described.oid != oid {
            wrong.push(format!("{pg_type} {text:?} is described as {}", described.oid));
        }
        for (format, theirs) in [(Format::Text, &their_text), (Format::Binary, &their_binary)] {
            match encode_one(&value, pg_type, format, zone) {
                Ok(ours) if ours == *theirs => {}
                Ok(ours) => wrong.push(format!(
                    "{pg_type} {text:?} as {format:?}: {} is {} in PostgreSQL",
                    shown(&ours),
                    shown(theirs)
                )),
                Err(error) => wrong.push(format!("{pg_type} {text:?} as {format:?}: {error:?}")),
            }
        }
    }
}

async fn check_refusal(
    client: &Client,
    pg_type: &str,
    text: &str,
    zone: &Zone,
    wrong: &mut Vec<String>,
) {
    let theirs = match ask(client, &literal(text, pg_type)).await {
        Ok((value, ..)) => {
            wrong.push(format!("{pg_type} {text:?}: PostgreSQL reads {}", shown(&value)));
            return;
        }
        Err(error) => error.code().map(|code| code.code().to_string()).unwrap_or_default(),
    };
    let oid = type_oid(pg_type);
    let parameter = Parameter { oid, format: Format::Text, bytes: Some(text.as_bytes()) };
    match decode_parameter(parameter, &arrow_type(oid).unwrap(), zone) {
        Ok(value) => wrong.push(format!("{pg_type} {text:?}: we read {value:?}")),
        Err(error) if same_state(error.kind.sqlstate(), &theirs) => {}
        Err(error) => wrong.push(format!(
            "{pg_type} {text:?}: we answer {} ({error}), PostgreSQL {theirs}",
            error.kind.sqlstate()
        )),
    }
}

// ---- records and what has no literal ----

#[tokio::test]
async fn records_and_vectors_are_written_like_postgres() {
    let postgres = Postgres::shared();
    let client = postgres.connect().await;
    let text = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let record = |columns: Vec<ArrayRef>| {
        let fields: Fields = columns
            .iter()
            .map(|column| Field::new("f", column.data_type().clone(), true))
            .collect();
        Arc::new(StructArray::new(fields, columns, None)) as ArrayRef
    };
    let list = |items: ArrayRef| {
        let field = Field::new_list_field(items.data_type().clone(), true);
        let offsets = OffsetBuffer::from_lengths([items.len()]);
        Arc::new(ListArray::new(field.into(), offsets, items, None)) as ArrayRef
    };
    let number = || Arc::new(Int32Array::from(vec![1])) as ArrayRef;
    let words = [Some("a b"), None, Some(""), Some("\"q\\"), Some("(,)"), Some("x")];
    let mut fields = vec![number()];
    fields.extend(words.map(text));
    let numbers = |numbers: Vec<i16>| list(Arc::new(Int16Array::from(numbers)));

    for (sql, array, pg_type) in [
        (
            "SELECT ROW(1, 'a b'::text, NULL::text, ''::text, E'\"q\\\\'::text, '(,)'::text, 'x'::text)",
            record(fields),
            "",
        ),
        (
            "SELECT ROW(ROW(1, 'a b'::text), 1)",
            record(vec![record(vec![number(), text(words[0])]), number()]),
            "",
        ),
        ("SELECT ARRAY[ROW(1, 'a b'::text)]", list(record(vec![number(), text(words[0])])), ""),
        (
            "SELECT ROW(ARRAY['a b', 'c'])",
            record(vec![list(Arc::new(StringArray::from(vec!["a b", "c"])))]),
            "",
        ),
        ("SELECT '1 2 -3'::int2vector", numbers(vec![1, 2, -3]), "int2vector"),
        ("SELECT ''::int2vector", numbers(vec![]), "int2vector"),
        (
            "SELECT '1 4294967295'::oidvector",
            list(Arc::new(Int64Array::from(vec![1, 4_294_967_295]))),
            "oidvector",
        ),
        ("SELECT 18446744073709551615::numeric", Arc::new(UInt64Array::from(vec![u64::MAX])), ""),
        ("SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", uuid_bytes(), "uuid"),
        ("SELECT NULL::interval", Arc::new(IntervalYearMonthArray::from(vec![None])), ""),
        ("SELECT '14 mons'::interval", Arc::new(IntervalYearMonthArray::from(vec![14])), ""),
        (
            "SELECT timestamp '2024-01-03' - timestamp '2024-01-01 12:00'",
            Arc::new(DurationSecondArray::from(vec![129_600])),
            "",
        ),
        (
            "SELECT timestamp '2024-01-01 12:00' - timestamp '2024-01-03 12:00:01'",
            Arc::new(DurationNanosecondArray::from(vec![-172_801_000_000_000])),
            "",
        ),
        (
            "SELECT '2024-01-01 00:00:00.000002'::timestamp",
            Arc::new(TimestampNanosecondArray::from(vec![1_704_067_200_000_001_500])),
            "",
        ),
        ("SELECT '1970-01-02'::date", Arc::new(Date64Array::from(vec![86_400_000])), ""),
        ("SELECT '00:00:01'::time", Arc::new(Time32SecondArray::from(vec![1])), ""),
        ("SELECT 1.5::real", Arc::new(Float16Array::from(vec![half(1.5)])), ""),
        ("SELECT '{1,1,2}'::smallint[]", list(run_array()), ""),
    ] {
        let (their_text, their_binary, _) = ask(&client, sql).await.unwrap();
        let column = column_of(&array, pg_type);
        for (format, theirs) in [(Format::Text, their_text), (Format::Binary, their_binary)] {
            let ours = encode(&column, &array, format, &Zone::Utc).unwrap().remove(0);
            assert_eq!(ours, theirs, "{sql} {format:?}: {} {}", shown(&ours), shown(&theirs));
        }
    }
}

fn uuid_bytes() -> ArrayRef {
    let bytes = [
        0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a,
        0x11,
    ];
    Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap())
}

fn half(value: f32) -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::from_f32(value)
}

fn run_array() -> ArrayRef {
    let ends = Int32Array::from(vec![2, 3]);
    Arc::new(RunArray::try_new(&ends, &Int16Array::from(vec![1, 2])).unwrap())
}

// ---- random values ----

/// xorshift64*: the same values in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (i128::from(high) - i128::from(low) + 1) as u128;
        (i128::from(low) + (u128::from(self.next()) % span) as i128) as i64
    }

    /// Of a random size: small numbers are as likely as large ones.
    fn number(&mut self) -> i64 {
        (self.next() as i64) >> self.between(0, 63)
    }

    fn wide(&mut self) -> i128 {
        let number = (i128::from(self.next() as i64) << 64) | i128::from(self.next());
        number >> self.between(0, 127)
    }
}

const COUNT: usize = 20_000;

/// One in sixteen is NULL.
fn random<T>(seed: u64, mut value: impl FnMut(&mut Random) -> T) -> Vec<Option<T>> {
    let mut random = Random(seed | 1);
    (0..COUNT).map(|_| (!random.next().is_multiple_of(16)).then(|| value(&mut random))).collect()
}

/// Sends the values as an array in our binary format, and compares what comes back, in text and in
/// binary, with what we write.
async fn compare(client: &Client, pg_type: &str, array: ArrayRef, zone: &Zone) {
    let field = Field::new_list_field(array.data_type().clone(), true);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, array.len() as i32]));
    let list: ArrayRef = Arc::new(ListArray::new(field.into(), offsets, Arc::clone(&array), None));
    let list_column = column_of(&list, &format!("{pg_type}[]"));
    let sent = encode(&list_column, &list, Format::Binary, zone).unwrap().remove(0).unwrap();

    let sql = format!(
        "SELECT x::text, x FROM unnest($1::{pg_type}[]) WITH ORDINALITY AS t (x, n) ORDER BY n"
    );
    let rows: Vec<_> = client
        .query_raw(&sql, [RawParameter(sent)])
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap_or_else(|error| panic!("{pg_type}: {error:?}"));
    assert_eq!(rows.len(), array.len(), "{pg_type}");

    let column = column_of(&array, pg_type);
    let texts = encode(&column, &array, Format::Text, zone).unwrap();
    let binaries = encode(&column, &array, Format::Binary, zone).unwrap();
    for (index, (row, (text, binary))) in rows.iter().zip(texts.iter().zip(&binaries)).enumerate() {
        let (Raw(their_text), Raw(their_binary)) = (row.get(0), row.get(1));
        assert_eq!(
            (shown(text), shown(binary)),
            (shown(&their_text), shown(&their_binary)),
            "{pg_type} {} in {}",
            array.data_type(),
            zone.name()
        );
        // What PostgreSQL sends, we read; a sample will do.
        if index % 16 != 0 {
            continue;
        }
        let oid = type_oid(pg_type);
        for (format, bytes) in [(Format::Text, &their_text), (Format::Binary, &their_binary)] {
            let parameter = Parameter { oid, format, bytes: bytes.as_deref() };
            let value = decode_parameter(parameter, array.data_type(), zone)
                .unwrap_or_else(|error| panic!("{pg_type} {}: {error:?}", shown(&their_text)));
            let again = encode_one(&value, pg_type, Format::Text, zone).unwrap();
            assert_eq!(shown(&again), shown(&their_text), "{pg_type} read from {format:?}");
        }
    }
}

#[tokio::test]
async fn random_numbers_agree_with_postgres() {
    let postgres = Postgres::shared();
    let client = postgres.connect().await;
    let utc = Zone::Utc;
    let compare = |pg_type, array| compare(&client, pg_type, array, &utc);

    let any_bits: Float64Array =
        random(1, |random| f64::from_bits(random.next())).into_iter().collect();
    compare("double precision", Arc::new(any_bits)).await;
    let decimal: Float64Array = random(2, |random| {
        random.between(-1_000_000_000, 1_000_000_000) as f64
            / 10_f64.powi(random.between(0, 9) as i32)
    })
    .into_iter()
    .collect();
    compare("double precision", Arc::new(decimal)).await;
    // Where the shortest digits may lie between two floats.
    let round: Float64Array = random(3, |random| {
        random.between(1, 99_999) as f64 * 10_f64.powi(random.between(10, 30) as i32)
    })
    .into_iter()
    .collect();
    compare("double precision", Arc::new(round)).await;
    let powers: Float64Array = (-1_074..1_024)
        .map(|power| Some(2_f64.powi(power / 2) * 2_f64.powi(power - power / 2)))
        .collect();
    compare("double precision", Arc::new(powers)).await;
    let single: Float32Array =
        random(4, |random| f32::from_bits(random.next() as u32)).into_iter().collect();
    compare("real", Arc::new(single)).await;
    let single: Float32Array = random(5, |random| {
        random.between(1, 9_999) as f32 * 10_f32.powi(random.between(-5, 16) as i32)
    })
    .into_iter()
    .collect();
    compare("real", Arc::new(single)).await;

    let integers: Int64Array = random(6, Random::number).into_iter().collect();
    compare("bigint", Arc::new(integers)).await;
    for scale in [0, 1, 2, 3, 4, 9, 18, 37, 38] {
        let numbers: Decimal128Array =
            random(7, |random| random.wide() % 10_i128.pow(38)).into_iter().collect();
        let numbers = numbers.with_precision_and_scale(38, scale).unwrap();
        compare("numeric", Arc::new(numbers)).await;
    }
    for scale in [0, 2, 40, 76] {
        let numbers: Decimal256Array = random(8, |random| {
            let shift = 1_i128 << random.between(0, 120);
            i256::from_i128(random.wide() >> 2)
                .wrapping_mul(i256::from_i128(shift))
                .wrapping_add(i256::from_i128(random.wide()))
        })
        .into_iter()
        .collect();
        let numbers = numbers.with_precision_and_scale(76, scale).unwrap();
        compare("numeric", Arc::new(numbers)).await;
    }
}

#[tokio::test]
async fn random_times_agree_with_postgres() {
    let postgres = Postgres::shared();
    let client = postgres.connect().await;
    let utc = Zone::Utc;

    let days: Date32Array =
        random(11, |random| random.between(-2_440_588, 2_145_042_905) as i32).into_iter().collect();
    compare(&client, "date", Arc::new(days), &utc).await;
    let near: Date32Array =
        random(12, |random| random.between(-800_000, 200_000) as i32).into_iter().collect();
    compare(&client, "date", Arc::new(near), &utc).await;
    let times: Time64MicrosecondArray =
        random(13, |random| random.between(0, 86_400_000_000)).into_iter().collect();
    compare(&client, "time without time zone", Arc::new(times), &utc).await;
    let instants: TimestampMicrosecondArray =
        random(14, |random| random.between(-210_866_803_200_000_000, i64::MAX))
            .into_iter()
            .collect();
    compare(&client, "timestamp without time zone", Arc::new(instants), &utc).await;
    let seconds: TimestampSecondArray =
        random(15, |random| random.between(-4_000_000_000, 4_000_000_000)).into_iter().collect();
    compare(&client, "timestamp without time zone", Arc::new(seconds), &utc).await;
    let intervals: IntervalMonthDayNanoArray = random(16, |random| {
        let micros = random.number() / 1_000;
        IntervalMonthDayNano::new(random.number() as i32, random.number() as i32, micros * 1_000)
    })
    .into_iter()
    .collect();
    compare(&client, "interval", Arc::new(intervals), &utc).await;

    for name in
        ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/Moscow", "5.75"]
    {
        client.batch_execute(&format!("SET TimeZone = '{name}'")).await.unwrap();
        let zone = Zone::parse(name).unwrap();
        let wide = |random: &mut Random| random.between(-210_866_803_200_000_000, i64::MAX / 2);
        let near = |random: &mut Random| random.between(-6_000_000_000, 9_000_000_000) * 1_000_000;
        for instants in [random(17, wide), random(18, near)] {
            let instants: TimestampMicrosecondArray = instants.into_iter().collect();
            let instants = instants.with_timezone("UTC");
            compare(&client, "timestamp with time zone", Arc::new(instants), &zone).await;
        }
    }
}

/// Letters that some format has to quote.
fn word(random: &mut Random) -> String {
    const LETTERS: [&str; 20] = [
        "a", "b", " ", "\"", "\\", "'", ",", "{", "}", "(", ")", "\t", "\n", "\r", "\u{b}",
        "\u{8}", "é", "😀", ".", "NULL",
    ];
    (0..random.between(0, 4)).map(|_| LETTERS[random.between(0, 19) as usize]).collect()
}

#[tokio::test]
async fn random_texts_and_arrays_agree_with_postgres() {
    let postgres = Postgres::shared();
    let client = postgres.connect().await;
    let words = random(21, word);
    let texts: ArrayRef = Arc::new(StringArray::from_iter(words.iter().cloned()));
    compare(&client, "text", Arc::clone(&texts), &Zone::Utc).await;
    compare(
        &client,
        "text",
        Arc::new(StringViewArray::from_iter(words.iter().cloned())),
        &Zone::Utc,
    )
    .await;
    let bytes: BinaryArray =
        random(22, |random| random.next().to_le_bytes()[..random.between(0, 8) as usize].to_vec())
            .iter()
            .map(|value| value.as_deref())
            .collect();
    compare(&client, "bytea", Arc::new(bytes), &Zone::Utc).await;

    // Arrays: the texts cut into rows of four, and pairs of pairs. PostgreSQL has no array of
    // arrays to unnest, so the rows are asked one query each.
    let rows = |items: &ArrayRef, length: usize| -> ArrayRef {
        let field = Field::new_list_field(items.data_type().clone(), true);
        let offsets = OffsetBuffer::from_lengths(vec![length; items.len() / length]);
        Arc::new(ListArray::new(field.into(), offsets, Arc::clone(items), None))
    };
    for array in [rows(&texts.slice(0, 800), 4), rows(&rows(&texts.slice(0, 800), 2), 2)] {
        let column = column_of(&array, "text[]");
        let binaries = encode(&column, &array, Format::Binary, &Zone::Utc).unwrap();
        let our_texts = encode(&column, &array, Format::Text, &Zone::Utc).unwrap();
        let statement = client
            .prepare("SELECT $1::text[]::text, $1::text[], ROW($1::text[])::text")
            .await
            .unwrap();
        for (index, (binary, text)) in binaries.iter().zip(&our_texts).enumerate() {
            let sent = RawParameter(binary.clone().unwrap());
            let row = client.query_one(&statement, &[&sent]).await.unwrap();
            let (Raw(their_text), Raw(their_binary)) = (row.get(0), row.get(1));
            assert_eq!((shown(text), shown(binary)), (shown(&their_text), shown(&their_binary)));

            let Raw(their_record) = row.get(2);
            let cell = array.slice(index, 1);
            let fields = vec![Field::new("f", cell.data_type().clone(), true)];
            let record: ArrayRef = Arc::new(StructArray::new(fields.into(), vec![cell], None));
            let record = encode(&column_of(&record, ""), &record, Format::Text, &Zone::Utc)
                .unwrap()
                .remove(0);
            assert_eq!(shown(&record), shown(&their_record));

            // And back: what PostgreSQL prints, we read.
            for (format, bytes) in [(Format::Text, &their_text), (Format::Binary, &their_binary)] {
                let parameter =
                    Parameter { oid: type_oid("text[]"), format, bytes: bytes.as_deref() };
                let value = decode_parameter(parameter, array.data_type(), &Zone::Utc).unwrap();
                let again = encode_one(&value, "text[]", Format::Text, &Zone::Utc).unwrap();
                assert_eq!(shown(&again), shown(&their_text));
            }
        }
    }
}

// ---- COPY ----

#[tokio::test]
async fn copy_writes_the_bytes_that_postgres_writes() {
    let postgres = Postgres::shared();
    let client = postgres.connect().await;
    let zone = Zone::Utc;
    client.batch_execute("SET TimeZone = 'UTC'").await.unwrap();

    let take = |count: usize| move |array: ArrayRef| array.slice(0, count);
    let take = take(2_000);
    let columns: Vec<(&str, &str, ArrayRef)> = vec![
        ("n", "bigint", take(Arc::new(Int64Array::from(random(31, Random::number))))),
        ("a \"b\", c", "text", take(Arc::new(StringArray::from_iter(random(32, word))))),
        (
            "f",
            "double precision",
            take(Arc::new(Float64Array::from(random(33, |random| f64::from_bits(random.next()))))),
        ),
        (
            "t",
            "timestamp with time zone",
            take(Arc::new(
                TimestampMicrosecondArray::from(random(34, |random| random.number() / 64))
                    .with_timezone("UTC"),
            )),
        ),
        (
            "b",
            "bytea",
            take(Arc::new(BinaryArray::from_iter(random(35, |random| {
                random.next().to_le_bytes()
            })))),
        ),
        ("v", "text", take(Arc::new(StringViewArray::from_iter(random(36, word))))),
    ];
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let definitions: Vec<String> =
        columns.iter().map(|(name, pg_type, _)| format!("{} {pg_type}", quoted(name))).collect();
    client
        .batch_execute(&format!("CREATE TEMP TABLE copied ({})", definitions.join(", ")))
        .await
        .unwrap();
    let parameters: Vec<RawParameter> = columns
        .iter()
        .map(|(_, pg_type, array)| {
            let field = Field::new_list_field(array.data_type().clone(), true);
            let offsets = OffsetBuffer::from_lengths([array.len()]);
            let list: ArrayRef =
                Arc::new(ListArray::new(field.into(), offsets, Arc::clone(array), None));
            let column = column_of(&list, &format!("{pg_type}[]"));
            RawParameter(encode(&column, &list, Format::Binary, &zone).unwrap().remove(0).unwrap())
        })
        .collect();
    let arrays: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, (_, pg_type, _))| format!("${}::{pg_type}[]", index + 1))
        .collect();
    let insert = format!("INSERT INTO copied SELECT * FROM unnest({})", arrays.join(", "));
    client.execute_raw(&insert, parameters).await.unwrap();

    let text = TextOptions::default();
    let csv = CsvOptions::default();
    let everything: Vec<usize> = (0..columns.len()).collect();
    let formats = [
        ("FORMAT text", CopyFormat::Text(text.clone())),
        (
            "FORMAT text, HEADER, DELIMITER ' ', NULL 'NULL'",
            CopyFormat::Text(TextOptions { header: true, delimiter: b' ', null: "NULL".into() }),
        ),
        ("FORMAT text, DELIMITER '-'", CopyFormat::Text(TextOptions { delimiter: b'-', ..text })),
        ("FORMAT csv", CopyFormat::Csv(csv.clone())),
        ("FORMAT csv, HEADER", CopyFormat::Csv(CsvOptions { header: true, ..csv.clone() })),
        (
            "FORMAT csv, DELIMITER ';', NULL 'a', QUOTE '''', ESCAPE '\\', HEADER",
            CopyFormat::Csv(CsvOptions {
                header: true,
                delimiter: b';',
                null: "a".into(),
                quote: b'\'',
                escape: b'\\',
                force_quote: vec![],
            }),
        ),
        (
            "FORMAT csv, FORCE_QUOTE *",
            CopyFormat::Csv(CsvOptions { force_quote: everything, ..csv.clone() }),
        ),
        ("FORMAT binary", CopyFormat::Binary),
    ];
    // All columns together, and one alone, where `\.` needs quotes.
    for selected in [columns.as_slice(), &columns[1..2]] {
        let fields: Vec<Field> = selected
            .iter()
            .map(|(name, _, array)| Field::new(*name, array.data_type().clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let arrays = selected.iter().map(|(_, _, array)| Arc::clone(array)).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
        let names: Vec<String> = selected.iter().map(|(name, ..)| quoted(name)).collect();
        for (options, format) in &formats {
            let sql = format!("COPY copied ({}) TO STDOUT WITH ({options})", names.join(", "));
            let theirs: Vec<Bytes> =
                client.copy_out(&sql).await.unwrap().try_collect().await.unwrap();

            let encoder = CopyEncoder::new(&schema, format.clone(), zone.clone()).unwrap();
            let mut ours = Vec::new();
            encoder.header(&mut ours).unwrap();
            encoder.encode_rows(&batch, 0..700, &mut ours).unwrap();
            encoder.encode_rows(&batch, 700..batch.num_rows(), &mut ours).unwrap();
            encoder.trailer(&mut ours).unwrap();
            let ours = payloads(&ours);
            let (all, wanted) = (ours.concat(), theirs.concat());
            assert!(all == wanted, "{sql}: {}", first_difference(&all, &wanted));
            // Clients read row by row, and a binary signature with the first.
            assert!(ours == theirs, "{sql}: the same bytes in other messages");
        }
    }
}

/// The contents of CopyData messages.
fn payloads(mut messages: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    while !messages.is_empty() {
        assert_eq!(messages[0], b'd');
        let length = u32::from_be_bytes(messages[1..5].try_into().unwrap()) as usize;
        payloads.push(messages[5..=length].to_vec());
        messages = &messages[length + 1..];
    }
    payloads
}

fn first_difference(ours: &[u8], theirs: &[u8]) -> String {
    let at = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
    let near = |bytes: &[u8]| {
        let end = bytes.len().min(at + 40);
        String::from_utf8_lossy(&bytes[at.saturating_sub(40).min(end)..end]).into_owned()
    };
    format!("at byte {at}: {:?} is {:?} in PostgreSQL", near(ours), near(theirs))
}
