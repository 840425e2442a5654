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

use super::{RemoteSql, exec::RemoteExec, ir::Query, pushdown::RemoteValue, render::render};
use crate::TableDefinition;

/// The answer of one statement at a source.
pub struct FragmentTable {
    remote: Arc<dyn RemoteSql>,
    /// What errors name.
    relation: Arc<str>,
    query: Query,
    schema: SchemaRef,
    estimates: Statistics,
    /// What the columns are, in terms of the query's FROM.
    values: Vec<RemoteValue>,
    /// The table, when the query reads only one.
    table: Option<Arc<TableDefinition>>,
    /// Why nodes above it run here, for EXPLAIN.
    notes: Vec<String>,
}

impl FragmentTable {
    /// The columns of `query` decode to `schema`. `None`: the source's dialect can't write the
    /// query, or its text would be too long.
    pub fn new(
        remote: Arc<dyn RemoteSql>,
        relation: Arc<str>,
        query: Query,
        schema: SchemaRef,
        estimates: Statistics,
        notes: Vec<String>,
    ) -> Option<Self> {
        render(remote.dialect(), &query)?;
        let (values, table) = (Vec::new(), None);
        Some(Self { remote, relation, query, schema, estimates, values, table, notes })
    }

    /// Says what the columns are, one for each, so that the keys of a join can limit the statement.
    pub fn with_values(self, values: Vec<RemoteValue>) -> Self {
        Self { values, ..self }
    }

    /// Says which table the query reads, so that a large one is read by several connections.
    pub fn with_table(self, table: Option<Arc<TableDefinition>>) -> Self {
        Self { table, ..self }
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
        let mut values = self.values.clone();
        let estimates = self.estimates.clone().project(projection);
        if let Some(positions) = projection {
            query.columns =
                positions.iter().map(|index| self.query.columns[*index].clone()).collect();
            schema = Arc::new(self.schema.project(positions)?);
            values =
                positions.iter().filter_map(|index| self.values.get(*index).cloned()).collect();
        }
        if let Some(limit) = limit {
            let limit = limit as u64;
            query.limit = Some(query.limit.map_or(limit, |own| own.min(limit)));
        }
        let remote = self.remote.clone();
        let exec = RemoteExec::new(remote, self.relation.clone(), query, schema, estimates)?;
        let mut exec = exec.with_limit_pushdown(true).with_notes(self.notes.clone());
        if self.remote.capabilities().filter {
            exec = exec.with_join_keys(values);
        }
        if let Some(table) = &self.table {
            let partitions = session.config().target_partitions();
            exec = exec.with_split_read(&table.statistics, partitions);
        }
        Ok(Arc::new(exec))
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.estimates.clone())
    }
}
