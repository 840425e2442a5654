//! What the footers of Parquet files tell of columns, for the planner.
//!
//! Invariant: these are estimates. They choose the order of joins and are never told to the
//! operators, some of which would take a bound for a proof.

use std::{cmp::Ordering, collections::HashSet};

use arrow::{
    array::{Array, ArrayRef},
    datatypes::{DataType, Schema},
};
use datafusion::{
    parquet::{
        arrow::arrow_reader::statistics::StatisticsConverter,
        file::{
            metadata::{ColumnChunkMetaData, ParquetMetaData},
            statistics::Statistics,
        },
    },
    scalar::ScalarValue,
};

use super::{
    facts::Facts,
    table::{Columns, ReadableTable},
};
use crate::ColumnStatistics;

/// The header of a page, about.
const PAGE_HEADER_BYTES: i64 = 14;
/// A dictionary holds the length of each of its texts.
const LENGTH_BYTES: i64 = 4;
/// A dictionary as large as this part of its rows says nothing of the next one.
const SATURATED: i64 = 20;

/// One column of one file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ColumnFacts {
    /// The least and the greatest value.
    pub bounds: Option<(ScalarValue, ScalarValue)>,
    pub nulls: Option<u64>,
    pub distinct: Option<u64>,
}

/// One entry for each column of `schema`.
pub(super) fn of_footer(footer: &ParquetMetaData, schema: &Schema) -> Vec<ColumnFacts> {
    schema.fields().iter().map(|field| of_column(footer, schema, field.name())).collect()
}

fn of_column(footer: &ParquetMetaData, schema: &Schema, name: &str) -> ColumnFacts {
    let descriptor = footer.file_metadata().schema_descr();
    let Ok(converter) = StatisticsConverter::try_new(name, schema, descriptor) else {
        return ColumnFacts::default();
    };
    let Some(index) = converter.parquet_column_index() else { return ColumnFacts::default() };
    let groups = || footer.row_groups().iter().filter(|group| group.num_rows() > 0);
    let has_bounds = schema.field_with_name(name).is_ok_and(|field| is_ordered(field.data_type()));
    let bounds = has_bounds.then(|| {
        let low = extreme(&converter.row_group_mins(groups()).ok()?, Ordering::Less)?;
        Some((low, extreme(&converter.row_group_maxes(groups()).ok()?, Ordering::Greater)?))
    });
    let nulls =
        converter.row_group_null_counts(groups()).ok().filter(|counts| counts.null_count() == 0);
    let dictionaries =
        groups().map(|group| dictionary_values(group.column(index), group.num_rows()));
    let distinct: Option<Vec<u64>> = dictionaries.collect();
    ColumnFacts {
        bounds: bounds.flatten(),
        nulls: nulls.map(|counts| counts.values().iter().sum()),
        // Columns of few values have the same ones everywhere.
        distinct: distinct.and_then(|counts| counts.into_iter().max()),
    }
}

/// Types whose bounds are whole and in the order of the values.
fn is_ordered(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
                | DataType::Decimal128(..)
        )
}

/// The least or the greatest of all; `None` if one is missing.
fn extreme(values: &ArrayRef, wanted: Ordering) -> Option<ScalarValue> {
    let mut found: Option<ScalarValue> = None;
    for index in 0..values.len() {
        let value = ScalarValue::try_from_array(values, index).ok().filter(|v| !v.is_null())?;
        found = further(found, value, wanted);
    }
    found
}

fn further(
    found: Option<ScalarValue>,
    value: ScalarValue,
    wanted: Ordering,
) -> Option<ScalarValue> {
    match found {
        Some(found) if value.partial_cmp(&found) != Some(wanted) => Some(found),
        _ => Some(value),
    }
}

/// How many texts the dictionary of a column chunk holds, by its size: no footer says it.
fn dictionary_values(column: &ColumnChunkMetaData, rows: i64) -> Option<u64> {
    let Some(Statistics::ByteArray(range)) = column.statistics() else { return None };
    let bytes = column.data_page_offset().checked_sub(column.dictionary_page_offset()?)?;
    let length = (range.min_opt()?.len() + range.max_opt()?.len()) as i64 / 2;
    let values = bytes.checked_sub(PAGE_HEADER_BYTES)?.max(0) / (length + LENGTH_BYTES);
    (values <= rows / SATURATED).then(|| u64::try_from(values).unwrap_or(0).max(1))
}

/// One entry for each column of the table, those of its folders last.
pub(super) fn of_table(table: &ReadableTable) -> Vec<ColumnStatistics> {
    let Columns::Typed(columns) = &table.columns else { return Vec::new() };
    let in_files = columns.iter().map(|(name, column)| of_files(table, name, &column.data_type));
    let in_folders = (0..table.partition_fields.len()).map(|index| {
        let values: HashSet<_> =
            table.files.iter().map(|file| &file.partition_values[index]).collect();
        ColumnStatistics {
            distinct_count: Some(values.len() as u64),
            ..ColumnStatistics::default()
        }
    });
    in_files.chain(in_folders).collect()
}

/// What all files say together; nothing where one of them says nothing.
fn of_files(table: &ReadableTable, name: &str, data_type: &DataType) -> ColumnStatistics {
    let facts: Option<Vec<&ColumnFacts>> = table
        .files
        .iter()
        .filter(|file| file.facts.rows() > 0)
        .map(|file| match &*file.facts {
            Facts::Parquet(facts) => {
                let index = facts.columns.iter().position(|(column, _)| column == name)?;
                facts.estimates.get(index)
            }
            Facts::Arrow(_) | Facts::Text(_) => None,
        })
        .collect();
    let Some(facts) = facts else { return ColumnStatistics::default() };
    let (mut min, mut max) = (None, None);
    let has_bounds = facts.iter().all(|facts| {
        let Some((low, high)) = &facts.bounds else { return false };
        let (Ok(low), Ok(high)) = (low.cast_to(data_type), high.cast_to(data_type)) else {
            return false;
        };
        min = further(min.take(), low, Ordering::Less);
        max = further(max.take(), high, Ordering::Greater);
        true
    });
    let rows: u64 = table.files.iter().map(|file| file.facts.rows()).sum();
    let nulls: Option<u64> = facts.iter().map(|facts| facts.nulls).sum();
    let distinct: Option<Vec<u64>> = facts.iter().map(|facts| facts.distinct).collect();
    ColumnStatistics {
        null_fraction: nulls.map(|nulls| nulls as f64 / rows.max(1) as f64),
        distinct_count: distinct.and_then(|counts| counts.into_iter().max()),
        width: None,
        min: min.filter(|_| has_bounds),
        max: max.filter(|_| has_bounds),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
    use bytes::Bytes;
    use datafusion::parquet::{
        arrow::{ArrowWriter, parquet_to_arrow_schema},
        file::{metadata::ParquetMetaDataReader, properties::WriterProperties},
    };

    use super::*;

    #[test]
    fn footers_tell_bounds_nulls_and_the_size_of_dictionaries() {
        let rows = 0..3_000_i64;
        let kind = ["red", "green", "blue", "black", "white"];
        let kinds = rows.clone().map(|row| Some(kind[row as usize % 5]));
        let days = rows.clone().map(|row| (row % 3 != 0).then_some(row as i32 / 2));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(rows.clone().map(|row| row * 4 - 100).collect::<Int64Array>())),
            ("kind", Arc::new(kinds.collect::<StringArray>())),
            (
                "note",
                Arc::new(rows.clone().map(|row| Some(format!("n{row}"))).collect::<StringArray>()),
            ),
            ("price", Arc::new(rows.clone().map(|row| row as f64).collect::<Float64Array>())),
            ("day", Arc::new(days.collect::<Date32Array>())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties =
            WriterProperties::builder().set_max_row_group_row_count(Some(1_000)).build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let footer = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(file)).unwrap();
        assert_eq!(footer.num_row_groups(), 3);
        let schema = parquet_to_arrow_schema(footer.file_metadata().schema_descr(), None).unwrap();
        let found = of_footer(&footer, &schema);
        let bounds = |low, high| Some((low, high));
        let expected = [
            ("id", bounds(ScalarValue::from(-100_i64), ScalarValue::from(11_896_i64)), 0, None),
            ("kind", None, 0, Some(4..=6)),
            ("note", None, 0, None),
            // NaN lies outside the bounds of floats.
            ("price", None, 0, None),
            (
                "day",
                bounds(ScalarValue::Date32(Some(0)), ScalarValue::Date32(Some(1_499))),
                1_000,
                None,
            ),
        ];
        for ((name, bounds, nulls, distinct), found) in expected.into_iter().zip(&found) {
            assert_eq!(found.bounds, bounds, "{name}");
            assert_eq!(found.nulls, Some(nulls), "{name}");
            match distinct {
                Some(distinct) => assert!(distinct.contains(&found.distinct.unwrap()), "{found:?}"),
                None => assert_eq!(found.distinct, None, "{name}"),
            }
        }
    }
}
