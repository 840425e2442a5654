//! A table at a source, as DataFusion sees it.

use std::{fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, Result as DataFusionResult, Statistics},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType, utils::conjunction},
    physical_expr::expressions::Column,
    physical_plan::{
        ExecutionPlan,
        filter::FilterExec,
        projection::{ProjectionExec, ProjectionExpr},
    },
};

use super::{
    RemoteSql,
    exec::RemoteExec,
    ir::{From, Output, Query, Scalar, TableName},
    pushdown::{Precision, Pushed, Refusal, RemoteColumns, TableInputs, push},
    render::rendered_bytes,
    statistics,
};
use crate::{SourceError, SourceErrorKind, TableDefinition, TableKind, field};

/// How much of a query goes to the sources: the session setting `weir.pushdown`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PushdownMode {
    /// What is right and pays off.
    #[default]
    Auto,
    /// Only the choice of columns.
    Off,
    /// All that is right.
    Always,
}

/// Reads one table of a SQL source. Filters and limits go along where the answer stays the same.
#[derive(Clone)]
pub struct RemoteTable {
    remote: Arc<dyn RemoteSql>,
    definition: Arc<TableDefinition>,
    columns: Arc<RemoteColumns>,
    relation: Arc<str>,
    mode: PushdownMode,
}

impl RemoteTable {
    /// The definition comes from [`RemoteSql::discover`] of the same source.
    pub fn new(remote: Arc<dyn RemoteSql>, definition: Arc<TableDefinition>) -> Self {
        let columns = definition
            .handle
            .clone()
            .and_then(|handle| handle.downcast::<RemoteColumns>().ok())
            .unwrap_or_default();
        let relation =
            format!("{}.{}.{}", remote.catalog(), definition.schema, definition.name).into();
        Self { remote, definition, columns, relation, mode: PushdownMode::default() }
    }

    /// The same table under another `weir.pushdown`. DataFusion asks what may be pushed without
    /// showing the session, so whoever opens the table for a session has to say.
    pub fn with_pushdown(&self, mode: PushdownMode) -> Self {
        Self { mode, ..self.clone() }
    }

    pub fn definition(&self) -> &Arc<TableDefinition> {
        &self.definition
    }

    pub fn remote(&self) -> &Arc<dyn RemoteSql> {
        &self.remote
    }

    pub fn mode(&self) -> PushdownMode {
        self.mode
    }

    /// `catalog.schema.table`
    pub fn relation(&self) -> &Arc<str> {
        &self.relation
    }

    /// What the table's columns are at the source.
    pub fn inputs(&self) -> TableInputs<'_> {
        TableInputs { schema: &self.definition.columns, columns: &self.columns }
    }

    fn push(&self, filter: &Expr) -> Result<Pushed, Refusal> {
        if self.mode == PushdownMode::Off {
            return Err(Refusal::new("weir.pushdown is off"));
        }
        if !self.remote.capabilities().filter {
            return Err(Refusal::new("the source takes no filters"));
        }
        push(filter, &self.inputs())
    }

    fn output(&self, index: usize) -> DataFusionResult<Output> {
        let column_field = self.definition.columns.field(index);
        if let Some(reason) = field::unreadable(column_field) {
            let message = format!(
                "column \"{}.{}\" of type {} can't be read: {reason}",
                self.relation,
                column_field.name(),
                field::pg_type(column_field).unwrap_or("unknown")
            );
            let error = SourceError::new(SourceErrorKind::UnsupportedType, message)
                .with_hint("Name the columns to read, without this one.");
            return Err(error.into());
        }
        let column = self.columns.columns.get(index).ok_or_else(|| self.bug("no such column"))?;
        let value = column.value(column_field.data_type()).read();
        Ok(Output { value, name: column.name.clone() })
    }

    /// The table's name at the source.
    pub fn name(&self) -> TableName {
        let (schema, name) = (self.definition.schema.clone(), self.definition.name.clone());
        TableName { schema, name }
    }

    fn bug(&self, story: &str) -> SourceError {
        let message = format!("table \"{}\" can't be read", self.relation);
        SourceError::new(SourceErrorKind::Internal, message).with_source(story.to_owned())
    }
}

impl fmt::Debug for RemoteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTable")
            .field("relation", &self.relation)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for RemoteTable {
    fn schema(&self) -> SchemaRef {
        self.definition.columns.clone()
    }

    fn table_type(&self) -> TableType {
        match self.definition.kind {
            TableKind::View | TableKind::MaterializedView => TableType::View,
            TableKind::Table
            | TableKind::PartitionedTable
            | TableKind::ForeignTable
            | TableKind::Files => TableType::Base,
        }
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let dialect = self.remote.dialect();
        // The other half is for the names of the columns.
        let mut room = dialect.limits().statement_bytes / 2;
        let decisions = filters.iter().map(|filter| {
            let decision = self.push(filter).ok().and_then(|pushed| {
                room = room.checked_sub(rendered_bytes(dialect, &pushed.predicate)?)?;
                Some(pushed.precision)
            });
            match decision {
                Some(Precision::Exact) => TableProviderFilterPushDown::Exact,
                Some(Precision::Inexact) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            }
        });
        Ok(decisions.collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mut positions = match projection {
            Some(positions) => positions.clone(),
            None => (0..self.definition.columns.fields().len()).collect(),
        };
        let (mut predicates, mut residue, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for filter in filters {
            // What was promised exactly may have been rewritten since: the optimizer makes an OR of a
            // CASE, and `true` of `id IS NOT NULL`. Whatever is not exact now is looked at again here.
            match self.push(filter) {
                Ok(Pushed { predicate, precision: Precision::Exact }) => predicates.push(predicate),
                Ok(Pushed { predicate, precision: Precision::Inexact }) => {
                    predicates.push(predicate);
                    residue.push(filter.clone());
                    notes.push(format!("Filter: {}", Refusal::SUPERSET));
                }
                Err(refusal) => {
                    residue.push(filter.clone());
                    notes.push(format!("Filter: {refusal}"));
                }
            }
        }
        let width = positions.len();
        for column in residue.iter().flat_map(Expr::column_refs) {
            let position = self.definition.columns.index_of(&column.name)?;
            if !positions.contains(&position) {
                positions.push(position);
            }
        }
        // A row that is dropped here after the source has counted it would be missing in the end.
        let takes_limit = residue.is_empty()
            && self.remote.capabilities().limit
            && self.mode != PushdownMode::Off;
        let query = Query {
            columns: positions.iter().map(|p| self.output(*p)).collect::<DataFusionResult<_>>()?,
            filter: match predicates.len() {
                0 | 1 => predicates.pop(),
                _ => Some(Scalar::And(predicates)),
            },
            limit: limit.filter(|_| takes_limit).map(|limit| limit as u64),
            ..Query::all_of(From::Table(self.name()))
        };
        let columns = &self.definition.columns;
        let estimates =
            statistics::of_query(&self.definition.statistics, columns, &positions, &query);
        let schema = Arc::new(columns.project(&positions)?);
        let remote = self.remote.clone();
        let exec = RemoteExec::new(remote, self.relation.clone(), query, schema, estimates)?;
        let mut exec = exec.with_limit_pushdown(takes_limit).with_notes(notes);
        if self.remote.capabilities().filter && self.mode != PushdownMode::Off {
            let value = |position: &usize| {
                let column = self.columns.columns.get(*position)?;
                Some(column.value(columns.field(*position).data_type()))
            };
            let values: Option<Vec<_>> = positions.iter().map(value).collect();
            exec = exec.with_join_keys(values.unwrap_or_default());
        }
        if self.mode != PushdownMode::Off {
            let partitions = session.config().target_partitions();
            exec = exec.with_split_read(&self.definition.statistics, partitions);
        }
        let exec = Arc::new(exec);
        match conjunction(residue) {
            Some(residue) => filtered(session, exec, residue, width),
            None => Ok(exec),
        }
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(statistics::of_table(&self.definition.statistics, &self.definition.columns))
    }
}

/// Drops the rows of which the source was not asked exactly.
fn filtered(
    session: &dyn Session,
    exec: Arc<RemoteExec>,
    predicate: Expr,
    width: usize,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let schema = exec.schema();
    let predicate =
        session.create_physical_expr(predicate, &DFSchema::try_from(schema.as_ref().clone())?)?;
    let filter = Arc::new(FilterExec::try_new(predicate, exec)?);
    let kept =
        schema.fields().iter().take(width).enumerate().map(|(index, field)| ProjectionExpr {
            expr: Arc::new(Column::new(field.name(), index)),
            alias: field.name().clone(),
        });
    Ok(Arc::new(ProjectionExec::try_new(kept.collect::<Vec<_>>(), filter)?))
}
