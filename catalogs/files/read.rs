use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    catalog::TableProvider,
    datasource::{physical_plan::FileScanConfig, source::DataSourceExec},
    physical_expr::utils::collect_columns,
    physical_plan::ExecutionPlan,
};

use super::{
    named_scan::NamedScan,
    scan::FileScanExec,
    table::{FileTable, ReadableTable},
};

/// What a leaf of a physical plan reads of a table of files, as the leaf itself would do it.
#[derive(Debug)]
pub struct FileRead<'a> {
    table: &'a Arc<ReadableTable>,
    columns: BTreeSet<String>,
}

/// Whether a provider is a table of files, whose scans [`FileRead`] knows.
pub fn is_table(provider: &dyn TableProvider) -> bool {
    provider.is::<FileTable>()
}

impl<'a> FileRead<'a> {
    /// `None`: not a scan of files.
    pub fn of(leaf: &'a dyn ExecutionPlan) -> Option<Self> {
        if let Some(scan) = leaf.downcast_ref::<FileScanExec>() {
            let columns = scan.schema().fields().iter().map(|field| field.name().clone()).collect();
            return Some(Self { table: scan.table(), columns });
        }
        let scan = leaf.downcast_ref::<DataSourceExec>()?.data_source();
        let scan = scan.downcast_ref::<NamedScan>()?;
        let columns = columns_of(scan.inner().downcast_ref::<FileScanConfig>()?);
        Some(Self { table: scan.table(), columns })
    }

    /// Whether it reads the very files that `provider` stands for.
    pub fn is_of(&self, provider: &dyn TableProvider) -> bool {
        let table = provider.downcast_ref::<FileTable>().and_then(|table| table.readable().ok());
        table.is_some_and(|table| Arc::ptr_eq(table, self.table))
    }

    /// The columns that are shown, computed with or looked at by a filter.
    pub fn columns(&self) -> &BTreeSet<String> {
        &self.columns
    }
}

fn columns_of(config: &FileScanConfig) -> BTreeSet<String> {
    let source = config.file_source();
    let schema = source.table_schema().table_schema();
    let name = |index: usize| schema.fields().get(index).map(|field| field.name().clone());
    let filtered = source.filter().into_iter().flat_map(|filter| collect_columns(&filter));
    // A filter has its columns' names; their positions are those of whoever made it.
    let filtered = filtered.map(|column| column.name().to_owned());
    match source.projection() {
        None => schema.fields().iter().map(|field| field.name().clone()).chain(filtered).collect(),
        Some(shown) => {
            let shown = shown.as_ref().iter().flat_map(|shown| collect_columns(&shown.expr));
            shown.filter_map(|column| name(column.index())).chain(filtered).collect()
        }
    }
}
