//! What a server answers, in a form that can be compared: value by value, whoever wrote it.
//!
//! Numbers are equal when their values are; floating point to twelve digits, because sums depend on
//! their order; both zeros are one, as for PostgreSQL's `=`.

use tokio_postgres::{
    Client,
    types::{FromSql, Type},
};

use crate::harness::{clients::told, slt};

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Rows(Rows),
    /// The SQLSTATE, and all that is told with it.
    Error(String, String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// None are known of an answer without rows.
    pub types: Vec<Type>,
    pub rows: Vec<Vec<Value>>,
}

#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum Value {
    Null,
    /// Written in the only way there is.
    Text(String),
    Float(f64),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Float(float) => write!(f, "{float}"),
        }
    }
}

impl Value {
    /// A number in the form of its counterpart: an average may be a float here and a decimal there.
    pub fn as_float(&self) -> Self {
        match self {
            Self::Text(text) => text.parse().map_or_else(|_| self.clone(), Self::float),
            Self::Null | Self::Float(_) => self.clone(),
        }
    }

    /// To twelve digits.
    fn float(value: f64) -> Self {
        if value == 0.0 {
            return Self::Float(0.0);
        }
        Self::Float(format!("{value:.11e}").parse().unwrap_or(value))
    }

    /// A key under which equal values are equal: NaN too.
    pub fn key(&self) -> String {
        self.to_string()
    }
}

/// Asks in the extended protocol, all in one round trip.
pub async fn ask(client: &Client, sql: &str) -> Answer {
    match client.query_typed(sql, &[]).await {
        Ok(found) => {
            let types = found.first().map(|row| {
                row.columns().iter().map(|column| column.type_().clone()).collect::<Vec<_>>()
            });
            let row = |row: &tokio_postgres::Row| {
                let value = |index| match row.try_get::<_, Option<Decoded>>(index) {
                    Ok(value) => value.map_or(Value::Null, |value| value.0),
                    Err(error) => Value::Text(format!("can't be read: {error}")),
                };
                (0..row.len()).map(value).collect()
            };
            let rows = found.iter().map(row).collect();
            Answer::Rows(Rows { types: types.unwrap_or_default(), rows })
        }
        Err(error) => Answer::Error(crate::harness::code(&error), told(&error)),
    }
}

struct Decoded(Value);

impl<'a> FromSql<'a> for Decoded {
    fn from_sql(
        data_type: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *data_type {
            Type::FLOAT4 => Value::float(f32::from_sql(data_type, raw)?.to_string().parse()?),
            Type::FLOAT8 => Value::float(f64::from_sql(data_type, raw)?),
            Type::NUMERIC => Value::Text(short(slt::numeric(raw))),
            Type::DATE => Value::Text(format!("day {}", i32::from_be_bytes(raw.try_into()?))),
            Type::TIMESTAMP | Type::TIMESTAMPTZ => {
                Value::Text(format!("microsecond {}", i64::from_be_bytes(raw.try_into()?)))
            }
            Type::BOOL | Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => {
                Value::Text(slt::Shown::from_sql(data_type, raw)?.0)
            }
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
                Value::Text(String::from_utf8(raw.to_owned())?)
            }
            Type::UUID => Value::Text(uuid(raw)),
            Type::INTERVAL => Value::Text(format!("interval {raw:02x?}")),
            _ => Value::Text(format!("{data_type} {raw:02x?}")),
        }))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// `1.50` and `1.5` are one value.
fn short(digits: String) -> String {
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits,
    };
    if digits == "-0" { "0".to_owned() } else { digits }
}

fn uuid(raw: &[u8]) -> String {
    let digits: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    match raw.len() {
        16 => [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]]
            .join("-"),
        _ => digits,
    }
}

/// What a type is to a comparison: text is text, whatever its length or collation.
pub fn class(data_type: &Type) -> &str {
    match *data_type {
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UUID | Type::UNKNOWN => {
            "text"
        }
        _ => data_type.name(),
    }
}
