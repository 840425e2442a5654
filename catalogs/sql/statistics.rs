//! Estimates for the planner. All are [`Precision::Inexact`]: none decides an answer.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::{ColumnStatistics, Statistics, stats::Precision};

use super::ir::{Comparison, Query, Scalar};
use crate::TableStatistics;

/// The whole table, for [`TableProvider::statistics`](datafusion::catalog::TableProvider).
pub(super) fn of_table(table: &TableStatistics, schema: &Schema) -> Statistics {
    table.estimates(schema.fields().len())
}

/// What one query over the table returns. `columns` are positions in the table.
pub(super) fn of_query(
    table: &TableStatistics,
    table_schema: &Schema,
    columns: &[usize],
    query: &Query,
) -> Statistics {
    let rows = table.rows.map(|rows| estimate_rows(rows, table, table_schema, query));
    let row_bytes = columns.iter().map(|index| width(table, table_schema, *index)).sum::<u64>();
    Statistics {
        num_rows: inexact(rows),
        total_byte_size: inexact(rows.map(|rows| rows.saturating_mul(row_bytes))),
        column_statistics: columns.iter().map(|index| of_column(table, *index, rows)).collect(),
    }
}

pub(super) fn unknown(schema: &Schema) -> Arc<Statistics> {
    Arc::new(Statistics::new_unknown(schema))
}

fn estimate_rows(rows: u64, table: &TableStatistics, schema: &Schema, query: &Query) -> u64 {
    let kept = match &query.filter {
        Some(filter) => (rows as f64 * selectivity(filter, rows, table, schema)).ceil() as u64,
        None => rows,
    };
    query.limit.map_or(kept, |limit| kept.min(limit))
}

/// The fraction of rows that pass, by the rules of thumb that PostgreSQL uses too.
fn selectivity(filter: &Scalar, rows: u64, table: &TableStatistics, schema: &Schema) -> f64 {
    let part = |scalar: &Scalar| selectivity(scalar, rows, table, schema);
    let equal = |operand: &Scalar| {
        let distinct = column_of(operand, table, schema)
            .and_then(|column| column.distinct_count)
            .unwrap_or(200.min(rows));
        1.0 / distinct.max(1) as f64
    };
    let fraction = match filter {
        Scalar::Compare { comparison, left, .. } => match comparison {
            Comparison::Equal => equal(left),
            Comparison::NotEqual => 1.0 - equal(left),
            Comparison::Less
            | Comparison::LessOrEqual
            | Comparison::Greater
            | Comparison::GreaterOrEqual => 1.0 / 3.0,
        },
        Scalar::In { operand, list } => equal(operand) * list.len() as f64,
        Scalar::IsNull(operand) => column_of(operand, table, schema)
            .and_then(|column| column.null_fraction)
            .unwrap_or(0.01),
        Scalar::Like { .. } => 0.05,
        Scalar::And(parts) => parts.iter().map(part).product(),
        Scalar::Or(parts) => 1.0 - parts.iter().map(|scalar| 1.0 - part(scalar)).product::<f64>(),
        Scalar::Not(operand) => 1.0 - part(operand),
        Scalar::Exists(_)
        | Scalar::Case { .. }
        | Scalar::Substring { .. }
        | Scalar::Column(_)
        | Scalar::Literal(_)
        | Scalar::ReadAs { .. }
        | Scalar::Bytewise(_)
        | Scalar::Arithmetic { .. }
        | Scalar::Cast { .. }
        | Scalar::Aggregate { .. } => 0.5,
    };
    fraction.clamp(0.0, 1.0)
}

fn column_of<'a>(
    scalar: &Scalar,
    table: &'a TableStatistics,
    schema: &Schema,
) -> Option<&'a crate::ColumnStatistics> {
    match scalar {
        Scalar::Column(name) => table.columns.get(schema.index_of(name).ok()?),
        Scalar::ReadAs { operand, .. } | Scalar::Bytewise(operand) => {
            column_of(operand, table, schema)
        }
        _ => None,
    }
}

fn of_column(table: &TableStatistics, index: usize, rows: Option<u64>) -> ColumnStatistics {
    let Some(column) = table.columns.get(index) else {
        return ColumnStatistics::new_unknown();
    };
    let bound = |value: &Option<_>| value.clone().map_or(Precision::Absent, Precision::Inexact);
    let nulls = column
        .null_fraction
        .and_then(|fraction| rows.map(|rows| (rows as f64 * fraction).round() as u64));
    let distinct = column.distinct_count.map(|count| rows.map_or(count, |rows| count.min(rows)));
    ColumnStatistics {
        null_count: inexact(nulls),
        distinct_count: inexact(distinct),
        min_value: bound(&column.min),
        max_value: bound(&column.max),
        ..ColumnStatistics::new_unknown()
    }
}

fn width(table: &TableStatistics, schema: &Schema, index: usize) -> u64 {
    let known = table.columns.get(index).and_then(|column| column.width);
    let by_type = || schema.field(index).data_type().primitive_width().unwrap_or(32) as u64;
    known.unwrap_or_else(by_type)
}

fn inexact(count: Option<u64>) -> Precision<usize> {
    count
        .and_then(|count| usize::try_from(count).ok())
        .map_or(Precision::Absent, Precision::Inexact)
}
