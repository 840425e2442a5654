//! A query that was folded out of several plan nodes, as DataFusion sees it: one table.

use std::{fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Result as DataFusionResult, Statistics},
    logical_expr::{Expr, TableType},
    physical_plan::ExecutionPlan,
};

use super::{RemoteSql, exec::RemoteExec, ir::Query, render::render, table::is_most};
use crate::TableStatistics;

/// The answer of one statement at a source.
pub struct FragmentTable {
    remote: Arc<dyn RemoteSql>,
    /// What errors name.
    relation: Arc<str>,
    query: Query,
    schema: SchemaRef,
    estimates: Statistics,
    /// Of the table that is read, when it is one alone.
    table: TableStatistics,
    /// Why nodes above it run here, for EXPLAIN.
    notes: Vec<String>,
}

impl FragmentTable {
    /// The columns of `query` decode to `schema`; `table` is what it reads, if it is plain. `None`: the source's dialect can't write the
    /// query, or its text would be too long.
    pub fn new(
        remote: Arc<dyn RemoteSql>,
        relation: Arc<str>,
        query: Query,
        schema: SchemaRef,
        estimates: Statistics,
        table: TableStatistics,
        notes: Vec<String>,
    ) -> Option<Self> {
        render(remote.dialect(), &query)?;
        Some(Self { remote, relation, query, schema, estimates, table, notes })
    }
}

impl fmt::Debug for FragmentTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FragmentTable").field("relation", &self.relation).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for FragmentTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let (mut query, mut schema) = (self.query.clone(), self.schema.clone());
        let estimates = self.estimates.clone().project(projection);
        if let Some(positions) = projection {
            query.columns =
                positions.iter().map(|index| self.query.columns[*index].clone()).collect();
            schema = Arc::new(self.schema.project(positions)?);
        }
        if let Some(limit) = limit {
            let limit = limit as u64;
            query.limit = Some(query.limit.map_or(limit, |own| own.min(limit)));
        }
        let (remote, rows) = (self.remote.clone(), estimates.num_rows);
        let exec = RemoteExec::new(remote, self.relation.clone(), query, schema, estimates)?;
        let exec = exec.with_limit_pushdown(true).with_notes(self.notes.clone());
        Ok(Arc::new(match self.table.pages {
            Some(pages) if is_most(rows, self.table.rows) => {
                exec.with_split_read(pages, session.config().target_partitions())
            }
            Some(_) | None => exec,
        }))
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.estimates.clone())
    }
}
