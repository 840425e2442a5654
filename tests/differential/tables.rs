//! One set of rows in three places: tables at PostgreSQL as users have them, Parquet files, and the
//! tables that the oracle reads.
//!
//! The oracle's columns are what the sources' columns are declared to be: text is compared by its
//! bytes, `char(n)` has no trailing blanks, words of an enumeration and UUIDs are text.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array,
        Float64Array, Int16Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    },
    datatypes::{Field, Schema, i256},
    record_batch::RecordBatch,
};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Small, so that reading a table meets several groups and their statistics.
const ROWS_IN_GROUP: usize = 64;

#[derive(Debug)]
pub struct Column {
    pub name: String,
    /// As PostgreSQL writes it: `numeric(20,4)`.
    pub data_type: String,
    is_required: bool,
}

pub async fn names(source: &Client) -> Vec<String> {
    names_in(source, "public").await
}

async fn names_in(source: &Client, schema: &str) -> Vec<String> {
    let sql = format!(
        "SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace \
         AND relkind = 'r' ORDER BY relname"
    );
    let rows = crate::harness::rows(&source.simple_query(&sql).await.unwrap());
    rows.concat()
}

async fn columns(source: &Client, schema: &str, table: &str) -> Vec<Column> {
    let sql = format!(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute \
         WHERE attrelid = '{schema}.{table}'::regclass AND attnum > 0 AND NOT attisdropped \
         ORDER BY attnum"
    );
    let rows = crate::harness::rows(&source.simple_query(&sql).await.unwrap());
    let column = |row: Vec<String>| match <[String; 3]>::try_from(row) {
        Ok([name, data_type, is_required]) => {
            Column { name, data_type, is_required: is_required == "t" }
        }
        Err(row) => panic!("{row:?}"),
    };
    rows.into_iter().map(column).collect()
}

fn is_text(data_type: &str) -> bool {
    let base = data_type.split('(').next().unwrap();
    matches!(base, "text" | "character varying" | "character" | "mood" | "uuid")
}

/// Copies every table into the schema `oracle`, of the same database.
pub async fn make_oracle(source: &Client) {
    let mut script = "CREATE SCHEMA oracle;".to_owned();
    for table in names(source).await {
        let list: Vec<String> = columns(source, "public", &table)
            .await
            .iter()
            .map(|Column { name, data_type, .. }| match is_text(data_type) {
                true => format!("\"{name}\"::text COLLATE \"default\" AS \"{name}\""),
                false => format!("\"{name}\""),
            })
            .collect();
        script += &format!(
            "CREATE TABLE oracle.{table} AS SELECT {} FROM public.{table};",
            list.join(", ")
        );
    }
    source.batch_execute(&(script + "ANALYZE;")).await.unwrap();
}

/// Writes every table as `<folder>/<table>.parquet`.
pub async fn write_files(source: &Client, folder: &Path) {
    write_schema(source, "public", folder).await;
}

pub async fn write_schema(source: &Client, schema: &str, folder: &Path) {
    for table in names_in(source, schema).await {
        let columns = columns(source, schema, &table).await;
        let list: Vec<String> = columns.iter().map(printed).collect();
        let sql = format!("SELECT {} FROM {schema}.{table}", list.join(", "));
        let messages = source.simple_query(&sql).await.unwrap();
        let rows: Vec<_> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .collect();
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (index, column) in columns.iter().enumerate() {
            let values = rows.iter().map(|row| row.get(index)).collect();
            let array = array(&column.data_type, values);
            let is_nullable = !column.is_required;
            fields.push(Field::new(&column.name, array.data_type().clone(), is_nullable));
            arrays.push(array);
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
        let file = File::create(folder.join(format!("{table}.parquet"))).unwrap();
        let groups = if batch.num_rows() < 1000 { 16 } else { ROWS_IN_GROUP * 8 };
        let properties =
            WriterProperties::builder().set_max_row_group_row_count(Some(groups)).build();
        let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// The text from which [`array`] reads a value.
fn printed(Column { name, data_type, .. }: &Column) -> String {
    match data_type.as_str() {
        "date" => format!("(\"{name}\" - DATE '1970-01-01')::text"),
        name_of if name_of.starts_with("timestamp") => {
            format!("(extract(epoch FROM \"{name}\") * 1000000)::bigint::text")
        }
        _ => format!("\"{name}\"::text"),
    }
}

fn array(data_type: &str, values: Vec<Option<&str>>) -> ArrayRef {
    macro_rules! parsed {
        ($array:ident) => {
            Arc::new(
                values.iter().map(|value| Some((*value)?.parse().unwrap())).collect::<$array>(),
            )
        };
    }
    match data_type {
        "boolean" => parsed!(BooleanArray),
        "smallint" => parsed!(Int16Array),
        "integer" => parsed!(Int32Array),
        "bigint" => parsed!(Int64Array),
        "real" => parsed!(Float32Array),
        "double precision" => parsed!(Float64Array),
        "date" => parsed!(Date32Array),
        "timestamp without time zone" => parsed!(TimestampMicrosecondArray),
        "timestamp with time zone" => {
            let array: TimestampMicrosecondArray =
                values.iter().map(|value| Some((*value)?.parse::<i64>().unwrap())).collect();
            Arc::new(array.with_timezone("UTC"))
        }
        "numeric" => Arc::new(decimals(values, 20).with_precision_and_scale(76, 20).unwrap()),
        _ if is_text(data_type) => Arc::new(values.into_iter().collect::<StringArray>()),
        _ => match data_type.strip_prefix("numeric(").and_then(|rest| rest.strip_suffix(')')) {
            Some(size) => {
                let (precision, scale) = size.split_once(',').unwrap();
                let (precision, scale) = (precision.parse().unwrap(), scale.parse().unwrap());
                let wide = decimals(values, scale);
                let narrow: Decimal128Array =
                    wide.iter().map(|value| Some(value?.to_i128().unwrap())).collect();
                Arc::new(narrow.with_precision_and_scale(precision, scale).unwrap())
            }
            None => panic!("no Arrow type for {data_type}"),
        },
    }
}

/// Digits without their point, padded to a scale.
fn decimals(values: Vec<Option<&str>>, scale: i8) -> Decimal256Array {
    let scale = usize::try_from(scale).unwrap();
    let unscaled = |value: &str| {
        let (whole, part) = value.split_once('.').unwrap_or((value, ""));
        assert!(part.len() <= scale, "{value}");
        i256::from_string(&format!("{whole}{part:0<scale$}")).unwrap()
    };
    values.into_iter().map(|value| value.map(unscaled)).collect()
}
