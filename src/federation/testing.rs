//! Tables with statistics, for tests.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    catalog::{MemTable, Session, TableProvider},
    common::{ColumnStatistics, Result, Statistics, stats::Precision},
    datasource::provider_as_source,
    logical_expr::{Expr, LogicalPlanBuilder, TableType},
    physical_plan::ExecutionPlan,
    scalar::ScalarValue,
};

/// A table that knows its statistics, true or not.
#[derive(Debug)]
pub(super) struct Known {
    pub inner: MemTable,
    pub statistics: Option<Statistics>,
}

#[async_trait]
impl TableProvider for Known {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.scan(state, projection, filters, limit).await
    }

    fn statistics(&self) -> Option<Statistics> {
        self.statistics.clone()
    }
}

/// Name, type, distinct values, the least and the greatest value.
pub(super) type ColumnFacts =
    (&'static str, DataType, Option<usize>, Option<(ScalarValue, ScalarValue)>);

/// A scan of a table that holds nothing.
pub(super) fn table(
    name: &str,
    rows: Option<usize>,
    columns: Vec<ColumnFacts>,
) -> LogicalPlanBuilder {
    let mut fields = Vec::new();
    let mut column_statistics = Vec::new();
    for (name, data_type, distinct, range) in columns {
        fields.push(Field::new(name, data_type, true));
        let mut column = ColumnStatistics::new_unknown();
        if let Some(distinct) = distinct {
            column.distinct_count = Precision::Inexact(distinct);
        }
        if let Some((low, high)) = range {
            column.min_value = Precision::Inexact(low);
            column.max_value = Precision::Inexact(high);
        }
        column_statistics.push(column);
    }
    let statistics = rows.map(|rows| Statistics {
        num_rows: Precision::Inexact(rows),
        total_byte_size: Precision::Absent,
        column_statistics,
    });
    let inner = MemTable::try_new(Arc::new(Schema::new(fields)), vec![vec![]]).unwrap();
    let source = provider_as_source(Arc::new(Known { inner, statistics }));
    LogicalPlanBuilder::scan(name, source, None).unwrap()
}
