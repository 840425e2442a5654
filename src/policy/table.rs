use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{Schema, SchemaRef},
    catalog::{Session, TableProvider},
    common::{DFSchema, Statistics},
    error::{DataFusionError, Result},
    logical_expr::{
        Expr, TableProviderFilterPushDown, TableType, lit,
        utils::{conjunction, split_conjunction},
    },
    physical_plan::{ExecutionPlan, filter::FilterExec},
};

use crate::federation::Behind;

use super::{
    ColumnAccess, Grant, ObjectPath, RowFilter,
    barrier::{Guard, PolicyBarrierExec},
    fault::{self, Fault},
    mask,
};

/// A source's table as one principal sees it: hidden columns are absent, masked ones show their
/// masks, filtered rows do not exist.
#[derive(Debug)]
pub struct PolicyTable {
    path: ObjectPath,
    inner: Arc<dyn TableProvider>,
    grant: Grant,
    /// Of the inner table.
    columns: SchemaRef,
    /// Positions of the visible columns in the inner table.
    visible: Vec<usize>,
    schema: SchemaRef,
}

impl PolicyTable {
    /// `grant` answers for the columns of `inner`, in their order.
    pub fn new(path: ObjectPath, inner: Arc<dyn TableProvider>, grant: Grant) -> Self {
        let inner_schema = inner.schema();
        let visible: Vec<usize> = (0..inner_schema.fields().len())
            .filter(|index| {
                grant.columns.get(*index).is_some_and(|access| *access != ColumnAccess::Hidden)
            })
            .collect();
        let fields: Vec<_> = visible
            .iter()
            .map(|index| {
                let field = inner_schema.field(*index).clone();
                match grant.columns[*index] {
                    // A mask can be NULL where the column can't, and is no value of its type.
                    ColumnAccess::Masked(_) => {
                        let metadata = std::collections::HashMap::new();
                        field.with_nullable(true).with_metadata(metadata)
                    }
                    ColumnAccess::Visible | ColumnAccess::Hidden => field,
                }
            })
            .collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, inner_schema.metadata().clone()));
        Self { path, inner, grant, columns: inner_schema, visible, schema }
    }

    pub fn path(&self) -> &ObjectPath {
        &self.path
    }

    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    pub fn inner(&self) -> &Arc<dyn TableProvider> {
        &self.inner
    }

    /// All columns that the table has at its source.
    pub fn source_columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// The row filter over the columns of the source's table.
    pub(super) fn planned_filter(&self) -> Result<Option<Expr>> {
        self.row_filter(&DFSchema::try_from(Arc::clone(&self.columns))?)
    }

    /// The source's table behind `table`, and what stands between them: a part of the one, cut out
    /// so, may be asked for in the place of the other. `None`: not a table under a policy.
    pub fn behind(table: &dyn TableProvider) -> Result<Option<Behind<'_>>> {
        let Some(table) = table.downcast_ref::<Self>() else { return Ok(None) };
        if fault::is_in_barrier() && !table.is_unrestricted() {
            return Ok(None);
        }
        let inner_schema = DFSchema::try_from(table.inner.schema())?;
        let is_masked = |access: &ColumnAccess| matches!(access, ColumnAccess::Masked(_));
        let masked = table.schema.fields().iter().zip(&table.visible);
        let masked = masked.filter(|(_, index)| is_masked(&table.grant.columns[**index]));
        Ok(Some(Behind {
            table: &table.inner,
            is_whole: table.is_unrestricted(),
            row_filter: match fault::is_on(Fault::LostFilter) {
                true => None,
                false => table.row_filter(&inner_schema)?,
            },
            masked: masked.map(|(field, _)| field.name().as_str()).collect(),
        }))
    }

    /// Nothing but whole columns may be missing: then a scan is the source's own.
    pub(super) fn is_unrestricted(&self) -> bool {
        self.grant.row_filter.is_none()
            && !self.grant.columns.iter().any(|access| matches!(access, ColumnAccess::Masked(_)))
    }

    /// The inner scan below the barrier, which filters, masks and cuts hidden columns.
    async fn scan_restricted(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        asked: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner_schema = DFSchema::try_from(self.inner.schema())?;
        let filter = self.row_filter(&inner_schema)?;
        let shown: Vec<usize> = match projection {
            Some(projection) => projection.iter().map(|index| self.visible[*index]).collect(),
            None => self.visible.clone(),
        };
        let outputs = shown
            .iter()
            .map(|index| self.shown_column(*index, &inner_schema))
            .collect::<Result<Vec<_>>>()?;
        // None, unless a test has opened the barrier.
        let below = conjunction(
            asked.iter().filter(|_| fault::is_on(Fault::OpenBarrier)).cloned().collect::<Vec<_>>(),
        );
        let mut needed = BTreeSet::new();
        for column in filter.iter().chain(&below).chain(&outputs).flat_map(Expr::column_refs) {
            needed.insert(inner_schema.index_of_column(column)?);
        }
        let needed: Vec<usize> = needed.into_iter().collect();
        let filters: Vec<Expr> =
            filter.iter().flat_map(|filter| split_conjunction(filter)).cloned().collect();
        let pushed = self.pushed(&filters)?;
        let scan = self.inner.scan(state, Some(&needed), &pushed, None).await?;
        let scan_schema = DFSchema::try_from(scan.schema())?;
        let scan: Arc<dyn ExecutionPlan> = match below {
            Some(below) => Arc::new(FilterExec::try_new(
                state.create_physical_expr(below, &scan_schema)?,
                scan,
            )?),
            None => scan,
        };
        // Evaluated here as well when it was pushed: the barrier trusts no source.
        let filter = filter.map(|filter| state.create_physical_expr(filter, &scan_schema));
        let outputs = outputs.into_iter().zip(&shown).map(|(output, index)| {
            let name = self.columns.field(*index).name().clone();
            Ok((state.create_physical_expr(output, &scan_schema)?, name))
        });
        let guard = Guard {
            path: self.path.clone(),
            grant: self.grant.clone(),
            filter: filter.transpose()?,
            outputs: outputs.collect::<Result<Vec<_>>>()?,
        };
        Ok(Arc::new(PolicyBarrierExec::try_new(scan, guard)?))
    }

    fn row_filter(&self, schema: &DFSchema) -> Result<Option<Expr>> {
        match &self.grant.row_filter {
            None => Ok(None),
            Some(RowFilter::Nothing) => Ok(Some(lit(false))),
            Some(RowFilter::Sql(predicate)) => {
                super::planner::plan_predicate(predicate, schema, &self.path).map(Some)
            }
        }
    }

    /// The conjuncts of the policy's own filter that the source takes.
    fn pushed(&self, filters: &[Expr]) -> Result<Vec<Expr>> {
        let asked: Vec<&Expr> = filters.iter().collect();
        let answers = self.inner.supports_filters_pushdown(&asked)?;
        Ok(filters
            .iter()
            .zip(answers)
            .filter(|(_, answer)| *answer != TableProviderFilterPushDown::Unsupported)
            .map(|(filter, _)| filter.clone())
            .collect())
    }

    /// What is shown for a column, over the columns of the inner table.
    fn shown_column(&self, index: usize, inner_schema: &DFSchema) -> Result<Expr> {
        let field = inner_schema.field(index);
        match &self.grant.columns[index] {
            ColumnAccess::Visible => {
                Ok(Expr::Column(datafusion::common::Column::from_name(field.name())))
            }
            ColumnAccess::Masked(_) if fault::is_on(Fault::LostMask) => {
                Ok(Expr::Column(datafusion::common::Column::from_name(field.name())))
            }
            ColumnAccess::Masked(mask) => {
                let expression = mask.expression(field, inner_schema, &self.path)?;
                mask::check_type(&expression, field.data_type(), inner_schema)?;
                Ok(expression)
            }
            ColumnAccess::Hidden => Err(DataFusionError::Internal(format!(
                "hidden column {} of {} was asked for",
                field.name(),
                self.path
            ))),
        }
    }
}

#[async_trait]
impl TableProvider for PolicyTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        if self.is_unrestricted() {
            return self.inner.supports_filters_pushdown(filters);
        }
        let answer = match fault::is_on(Fault::OpenBarrier) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(vec![answer; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !self.is_unrestricted() {
            return self.scan_restricted(state, projection, filters).await;
        }
        let projection: Vec<usize> = match projection {
            Some(projection) => projection.iter().map(|index| self.visible[*index]).collect(),
            None => self.visible.clone(),
        };
        if fault::is_on(Fault::HiddenColumns) {
            return fault::with_hidden_columns(state, &self.inner, &projection).await;
        }
        self.inner.scan(state, Some(&projection), filters, limit).await
    }

    fn statistics(&self) -> Option<Statistics> {
        if !self.is_unrestricted() && !fault::is_on(Fault::HiddenStatistics) {
            return None;
        }
        let mut statistics = self.inner.statistics()?;
        statistics.column_statistics = self
            .visible
            .iter()
            .map(|index| statistics.column_statistics.get(*index).cloned().unwrap_or_default())
            .collect();
        Some(statistics)
    }
}

/// A table that holds nothing of any source: metadata already reduced to what its principal sees,
/// or the rows of a table function. [`super::authorize`] lets it pass as it is.
#[derive(Debug)]
pub struct OpenTable(Arc<dyn TableProvider>);

impl OpenTable {
    pub fn new(inner: Arc<dyn TableProvider>) -> Self {
        Self(inner)
    }
}

#[async_trait]
impl TableProvider for OpenTable {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.0.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.0.scan(state, projection, filters, limit).await
    }
}
