//! Reads what a database holds: four statements in three round trips, in one snapshot.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql},
};

use super::{
    client::{Client, Lease},
    options::NumericAs,
    types::{Mapping, RemoteType, map},
};
use crate::{
    ColumnStatistics, ForeignKey, Key, Result, SourceError, SourceErrorKind, TableDefinition,
    TableKind, TableStatistics, field,
    sql::{Collation, Compare, RemoteColumn, RemoteColumns},
};

/// Tables, views and the like that our user may read at least one column of. Rows can be asked for by
/// page (the last column) since PostgreSQL 14, where they are stored as a heap.
const RELATIONS: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, d.description,
  c.reltuples::float8, c.relpages::int8 * pg_catalog.current_setting('block_size')::int8,
  (SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition
    LIMIT 1),
  c.relhassubclass,
  CASE WHEN c.relkind = 'r' AND NOT c.relhassubclass AND am.amname = 'heap'
    AND pg_catalog.current_setting('server_version_num')::int4 >= 140000
    THEN c.relpages::int8 END
FROM pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0
  AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND c.relpersistence <> 't'
  AND pg_catalog.left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND (pg_catalog.has_table_privilege(c.oid, 'SELECT')
    OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'))";

/// Domains are followed to their base; only there is a type modifier. NOT NULL counts only when all
/// rows were checked (PostgreSQL 18 can leave that open). The provider of the default collation has
/// its column only since PostgreSQL 15, hence the detour over JSON.
const COLUMNS: &str = "\
WITH RECURSIVE domain AS (
  SELECT t.oid AS domain, t.typbasetype AS base, t.typtypmod AS modifier
  FROM pg_catalog.pg_type t WHERE t.typtype = 'd'
  UNION ALL
  SELECT d.domain, t.typbasetype, t.typtypmod
  FROM domain d JOIN pg_catalog.pg_type t ON t.oid = d.base AND t.typtype = 'd'
), encoding AS (
  SELECT pg_catalog.current_setting('server_encoding') = 'UTF8' AS is_utf8,
    d.datcollate IN ('C', 'POSIX')
      AND COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') = 'c' AS is_bytewise
  FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
)
SELECT a.attrelid, a.attnum, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
  a.attnotnull AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint n
    WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND NOT n.convalidated
      AND n.conkey = ARRAY[a.attnum]),
  pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
  c.description,
  t.oid, COALESCE(d.modifier, a.atttypmod), t.typtype::text, e.oid, e.typtype::text,
  CASE WHEN encoding.is_utf8 THEN k.collisdeterministic END,
  CASE WHEN k.collprovider = 'd' THEN encoding.is_bytewise
    ELSE COALESCE(k.collprovider = 'c' AND k.collcollate IN ('C', 'POSIX'), false) END
FROM encoding, pg_catalog.pg_attribute a
LEFT JOIN (domain d JOIN pg_catalog.pg_type b ON b.oid = d.base AND b.typtype <> 'd')
  ON d.domain = a.atttypid
JOIN pg_catalog.pg_type t ON t.oid = COALESCE(d.base, a.atttypid)
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
LEFT JOIN pg_catalog.pg_collation k ON k.oid = a.attcollation
LEFT JOIN pg_catalog.pg_description c ON c.objoid = a.attrelid AND c.objsubid = a.attnum
  AND c.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

/// Whole, immediate keys over plain columns; what INCLUDE adds is no part of them.
const KEYS: &str = "\
SELECT i.indrelid, c.relname::text, i.indisprimary,
  (i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY($1) AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, NOT i.indisprimary, c.relname";

const FOREIGN_KEYS: &str = "\
SELECT k.conrelid, k.conname::text, k.conkey, n.nspname::text, c.relname::text,
  ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY f (number, position)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = f.number
    ORDER BY f.position),
  k.confupdtype::text, k.confdeltype::text, k.confmatchtype::text
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.confrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.conrelid = ANY($1) AND k.contype = 'f'
ORDER BY k.conrelid, k.conname";

/// What a parent's children add comes last, and wins. Values that stand out are only of numbers, dates
/// and timestamps: the bounds of the histogram, and the most common ones, which it leaves out.
const STATISTICS: &str = "\
SELECT c.oid, a.attnum, s.null_frac::float8, s.n_distinct::float8, s.avg_width,
  CASE WHEN a.atttypid IN (20, 21, 23, 1082, 1114, 1700) THEN
    ARRAY[b.bounds[1], b.bounds[array_upper(b.bounds, 1)]] || s.most_common_vals::text::text[] END
FROM pg_catalog.pg_stats s
JOIN pg_catalog.pg_namespace n ON n.nspname = s.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname
CROSS JOIN LATERAL (SELECT s.histogram_bounds::text::text[] AS bounds) b
WHERE c.oid = ANY($1)
ORDER BY s.inherited";

const CHECK: &str = "\
SELECT pg_catalog.current_setting('server_version'),
  COALESCE((SELECT s.ssl FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_catalog.pg_backend_pid()),
    false)";

/// What of a database belongs to the catalog.
#[derive(Debug)]
pub(super) struct Scope {
    pub schemas: Option<Vec<String>>,
    pub exclude: Vec<String>,
    pub statistics: bool,
    pub numeric: NumericAs,
}

impl Scope {
    fn holds(&self, schema: &str, table: &str) -> bool {
        let is_included =
            self.schemas.as_ref().is_none_or(|schemas| schemas.iter().any(|name| name == schema));
        let is_excluded = |name: &String| {
            name == schema
                || name.strip_prefix(schema).and_then(|rest| rest.strip_prefix('.')) == Some(table)
        };
        is_included && !self.exclude.iter().any(is_excluded)
    }
}

/// Says what answers: `PostgreSQL 15.8, TLS`.
pub(super) async fn check(client: &Client) -> Result<String> {
    let mut lease = client.lease().await?;
    let row = lease.client()?.query_one(CHECK, &[]).await;
    let row = row.map_err(|error| client.statement_error(error))?;
    let (version, has_tls): (String, bool) = (get(&row, 0)?, get(&row, 1)?);
    lease.release();
    Ok(format!("PostgreSQL {version}, {}", if has_tls { "TLS" } else { "no TLS" }))
}

pub(super) async fn discover(client: &Client, scope: &Scope) -> Result<Vec<TableDefinition>> {
    let mut lease = client.lease().await?;
    let rows = rows(&mut lease, scope).await.map_err(|error| match error {
        Failed::Statement(error) => client.statement_error(error),
        Failed::Other(error) => error,
    })?;
    lease.release();
    assemble(rows, scope)
}

struct Rows {
    relations: Vec<Row>,
    columns: Vec<Row>,
    keys: Vec<Row>,
    foreign_keys: Vec<Row>,
    statistics: Vec<Row>,
}

enum Failed {
    Statement(tokio_postgres::Error),
    Other(SourceError),
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Statement(error)
    }
}

impl From<SourceError> for Failed {
    fn from(error: SourceError) -> Self {
        Self::Other(error)
    }
}

async fn rows(lease: &mut Lease, scope: &Scope) -> Result<Rows, Failed> {
    let session = lease.client()?;
    let (_, mut relations) = futures::try_join!(
        session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        session.query(RELATIONS, &[]),
    )?;
    let mut failure = None;
    relations.retain(|row| match (get::<&str>(row, 1), get::<&str>(row, 2)) {
        (Ok(schema), Ok(table)) => scope.holds(schema, table),
        (Err(error), _) | (_, Err(error)) => {
            failure = Some(error);
            false
        }
    });
    if let Some(error) = failure {
        return Err(error.into());
    }
    let oids = relations.iter().map(|row| get(row, 0)).collect::<Result<Vec<u32>>>()?;
    let known: &[u32] = if scope.statistics { &oids } else { &[] };
    let all: [&(dyn ToSql + Sync); 1] = [&oids];
    let known: [&(dyn ToSql + Sync); 1] = [&known];
    let (columns, keys, foreign_keys, statistics) = futures::try_join!(
        session.query(COLUMNS, &all),
        session.query(KEYS, &all),
        session.query(FOREIGN_KEYS, &all),
        session.query(STATISTICS, &known),
    )?;
    Ok(Rows { relations, columns, keys, foreign_keys, statistics })
}

fn assemble(rows: Rows, scope: &Scope) -> Result<Vec<TableDefinition>> {
    let mut columns = by_relation(&rows.columns)?;
    let mut keys = by_relation(&rows.keys)?;
    let mut foreign_keys = by_relation(&rows.foreign_keys)?;
    let mut statistics = by_relation(&rows.statistics)?;
    let sizes = Sizes::new(&rows.relations)?;
    let mut tables = Vec::with_capacity(rows.relations.len());
    for row in &rows.relations {
        let oid: u32 = get(row, 0)?;
        let kind = kind(get(row, 3)?)?;
        // A table with children may have NULLs in theirs.
        let checks_nulls = match kind {
            TableKind::PartitionedTable => true,
            TableKind::Table => !get::<bool>(row, 8)?,
            TableKind::ForeignTable
            | TableKind::View
            | TableKind::MaterializedView
            | TableKind::Files => false,
        };
        let columns = columns.remove(&oid).unwrap_or_default();
        let (mut fields, mut remote, mut positions) = (Vec::new(), Vec::new(), HashMap::new());
        for row in columns {
            positions.insert(get::<i16>(row, 1)?, fields.len());
            let (field, column) = column(row, checks_nulls, scope.numeric)?;
            fields.push(field);
            remote.push(column);
        }
        let schema = Arc::new(Schema::new(fields));
        let mut size = sizes.of(oid);
        size.pages = get::<Option<i64>>(row, 9)?.and_then(|pages| u64::try_from(pages).ok());
        size.columns = column_statistics(
            &statistics.remove(&oid).unwrap_or_default(),
            &positions,
            &schema,
            size.rows,
        )?;
        tables.push(TableDefinition {
            schema: get(row, 1)?,
            name: get(row, 2)?,
            kind,
            columns: schema,
            comment: get(row, 4)?,
            keys: table_keys(&keys.remove(&oid).unwrap_or_default(), &positions)?,
            foreign_keys: references(&foreign_keys.remove(&oid).unwrap_or_default(), &positions)?,
            statistics: size,
            handle: Some(Arc::new(RemoteColumns { columns: remote })),
        });
    }
    Ok(tables)
}

fn kind(relkind: &str) -> Result<TableKind> {
    match relkind {
        "r" => Ok(TableKind::Table),
        "p" => Ok(TableKind::PartitionedTable),
        "v" => Ok(TableKind::View),
        "m" => Ok(TableKind::MaterializedView),
        "f" => Ok(TableKind::ForeignTable),
        other => Err(unexpected(format!("a relation of kind {other}"))),
    }
}

fn column(row: &Row, checks_nulls: bool, numeric: NumericAs) -> Result<(Field, RemoteColumn)> {
    let name: String = get(row, 2)?;
    let pg_type: String = get(row, 3)?;
    let is_nullable = !(checks_nulls && get::<bool>(row, 4)?);
    let may_read = get::<Option<bool>>(row, 5)?.unwrap_or(false);
    let element: Option<u32> = get(row, 10)?;
    let element_kind: Option<&str> = get(row, 11)?;
    let is_deterministic: Option<bool> = get(row, 12)?;
    let is_bytewise = get::<bool>(row, 13)?;
    let remote = RemoteType {
        oid: get(row, 7)?,
        modifier: get(row, 8)?,
        kind: letter(get(row, 9)?)?,
        element: match (element, element_kind) {
            (Some(oid), Some(kind)) => Some((oid, letter(kind)?)),
            _ => None,
        },
        collation: is_deterministic
            .map(|is_deterministic| Collation { is_deterministic, is_bytewise }),
    };
    let mapping = map(&remote, numeric);
    let unreadable = match (&mapping, may_read) {
        (_, false) => Some("the catalog's user lacks permission"),
        (None, _) => Some("no value of this type can be read"),
        (Some(_), true) => None,
    };
    let mapping = mapping.unwrap_or(Mapping {
        data_type: DataType::Utf8,
        form: None,
        compare: Compare::Never,
        has_null_test: false,
    });
    let mut metadata = HashMap::from([(field::PG_TYPE.to_owned(), pg_type)]);
    if let Some(comment) = get::<Option<String>>(row, 6)? {
        metadata.insert(field::COMMENT.to_owned(), comment);
    }
    if let Some(reason) = unreadable {
        metadata.insert(field::UNREADABLE.to_owned(), reason.to_owned());
    }
    let field = Field::new(&name, mapping.data_type, is_nullable || unreadable.is_some());
    let column = RemoteColumn {
        name,
        form: mapping.form.map(Arc::from),
        compare: mapping.compare,
        has_null_test: mapping.has_null_test,
    };
    Ok((field.with_metadata(metadata), column))
}

fn letter(text: &str) -> Result<char> {
    text.chars().next().ok_or_else(|| unexpected("an empty letter".to_owned()))
}

/// Keys over columns that the table no longer shows are left out.
fn table_keys(rows: &[&Row], positions: &HashMap<i16, usize>) -> Result<Vec<Key>> {
    let mut keys = Vec::new();
    for row in rows {
        let numbers: Vec<i16> = get(row, 3)?;
        let columns = numbers.iter().map(|number| positions.get(number).copied());
        if let Some(columns) = columns.collect::<Option<Vec<_>>>() {
            keys.push(Key { name: get(row, 1)?, columns, is_primary: get(row, 2)? });
        }
    }
    Ok(keys)
}

/// As [`table_keys`].
fn references(rows: &[&Row], positions: &HashMap<i16, usize>) -> Result<Vec<ForeignKey>> {
    let mut keys = Vec::new();
    for row in rows {
        let numbers: Vec<i16> = get(row, 2)?;
        let columns = numbers.iter().map(|number| positions.get(number).copied());
        let Some(columns) = columns.collect::<Option<Vec<_>>>() else { continue };
        keys.push(ForeignKey {
            name: get(row, 1)?,
            columns,
            schema: get(row, 3)?,
            table: get(row, 4)?,
            referenced: get(row, 5)?,
            on_update: letter(get(row, 6)?)?,
            on_delete: letter(get(row, 7)?)?,
            match_type: letter(get(row, 8)?)?,
        });
    }
    Ok(keys)
}

fn column_statistics(
    rows: &[&Row],
    positions: &HashMap<i16, usize>,
    schema: &Schema,
    table_rows: Option<u64>,
) -> Result<Vec<ColumnStatistics>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns = vec![ColumnStatistics::default(); positions.len()];
    for row in rows {
        let Some(index) = positions.get(&get::<i16>(row, 1)?) else { continue };
        let distinct: f64 = get(row, 3)?;
        let seen: Option<Vec<Option<&str>>> = get(row, 5)?;
        let (min, max) = bounds(&seen.unwrap_or_default(), schema.field(*index).data_type());
        columns[*index] = ColumnStatistics {
            null_fraction: Some(get(row, 2)?),
            // Negative: a fraction of the rows. Zero: not known.
            distinct_count: if distinct > 0.0 {
                Some(distinct as u64)
            } else if distinct < 0.0 {
                table_rows.map(|rows| (-distinct * rows as f64).ceil() as u64)
            } else {
                None
            },
            width: u64::try_from(get::<i32>(row, 4)?).ok(),
            min,
            max,
        };
    }
    Ok(columns)
}

/// The least and the greatest of some values, as PostgreSQL writes them. What can't be read here, such
/// as an infinity, makes them unknown.
fn bounds(
    values: &[Option<&str>],
    data_type: &DataType,
) -> (Option<ScalarValue>, Option<ScalarValue>) {
    let read = |value: &&str| ScalarValue::try_from_string((*value).to_owned(), data_type).ok();
    let Some(values) = values.iter().flatten().map(read).collect::<Option<Vec<_>>>() else {
        return (None, None);
    };
    let order = |a: &&ScalarValue, b: &&ScalarValue| a.partial_cmp(b).unwrap_or(Ordering::Equal);
    (values.iter().min_by(order).cloned(), values.iter().max_by(order).cloned())
}

/// Estimated rows and bytes. A partitioned table has those of its partitions.
struct Sizes {
    own: HashMap<u32, (Option<u64>, u64)>,
    partitions: HashMap<u32, Vec<u32>>,
}

impl Sizes {
    fn new(relations: &[Row]) -> Result<Self> {
        let mut sizes = Self { own: HashMap::new(), partitions: HashMap::new() };
        for row in relations {
            let (oid, rows): (u32, f64) = (get(row, 0)?, get(row, 5)?);
            // -1: never counted. Views have 0 and are never counted either.
            let has_rows = matches!(get::<&str>(row, 3)?, "r" | "m" | "p") && rows >= 0.0;
            let bytes = u64::try_from(get::<i64>(row, 6)?).unwrap_or(0);
            sizes.own.insert(oid, (has_rows.then_some(rows as u64), bytes));
            if let Some(parent) = get::<Option<u32>>(row, 7)? {
                sizes.partitions.entry(parent).or_default().push(oid);
            }
        }
        Ok(sizes)
    }

    fn of(&self, oid: u32) -> TableStatistics {
        let (mut open, mut seen) = (vec![oid], HashSet::new());
        let (mut rows, mut bytes) = (None, 0);
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            let (own_rows, own_bytes) = self.own.get(&next).copied().unwrap_or((None, 0));
            bytes += own_bytes;
            match self.partitions.get(&next) {
                Some(partitions) => open.extend(partitions),
                None => rows = own_rows.map_or(rows, |own| Some(rows.unwrap_or(0) + own)),
            }
        }
        let bytes = (bytes > 0).then_some(bytes);
        TableStatistics { rows, bytes, ..TableStatistics::default() }
    }
}

fn by_relation(rows: &[Row]) -> Result<HashMap<u32, Vec<&Row>>> {
    let mut groups: HashMap<u32, Vec<&Row>> = HashMap::new();
    for row in rows {
        groups.entry(get(row, 0)?).or_default().push(row);
    }
    Ok(groups)
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T> {
    row.try_get(index).map_err(|error| {
        SourceError::new(SourceErrorKind::Internal, "the source's own tables can't be read")
            .with_source(error)
    })
}

fn unexpected(story: String) -> SourceError {
    SourceError::new(SourceErrorKind::Internal, "the source's own tables can't be read")
        .with_source(story)
}
