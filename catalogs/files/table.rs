//! A table made of files: what it is, as the snapshot keeps it, and its scan.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use arrow::{
    array::{Array, BooleanArray, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, Statistics, stats::Precision},
    config::TableParquetOptions,
    datasource::{
        listing::PartitionedFile,
        object_store::ObjectStoreUrl,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
        table_schema::TableSchema,
    },
    error::Result as EngineResult,
    logical_expr::{Expr, TableProviderFilterPushDown, TableType, utils::conjunction},
    physical_plan::ExecutionPlan,
    scalar::ScalarValue,
};
use object_store::{ObjectMeta, path::Path};

use super::{
    estimates,
    facts::{Facts, Inspected},
    layout::{Contents, Format, TableFiles},
    named_scan::NamedScan,
    parquet::{self, FactsOfFile, VersionedReaders},
    scan::FileScanExec,
    store::{FileStore, store_error},
    types::{ColumnType, partition_values},
    value::Kind,
};
use crate::{SourceError, SourceErrorKind, TableDefinition, TableKind, TableStatistics};

/// What a [`TableDefinition`] of this source carries.
#[derive(Debug)]
enum Handle {
    Readable(Arc<ReadableTable>),
    Unreadable(String),
}

/// A table whose files go together.
#[derive(Debug)]
pub(super) struct ReadableTable {
    pub name: String,
    pub format: Format,
    pub columns: Columns,
    pub partition_fields: Vec<Field>,
    pub files: Vec<TableFile>,
}

/// The columns that lie in the files, united by name.
#[derive(Debug)]
pub(super) enum Columns {
    Typed(Vec<(String, ColumnType)>),
    Text(Vec<(String, Kind)>),
}

#[derive(Debug)]
pub(super) struct TableFile {
    pub meta: ObjectMeta,
    pub facts: Arc<Facts>,
    pub partition_values: Vec<ScalarValue>,
}

/// Describes a table. One that can't be read has no columns, and its comment says why.
pub(super) fn define(table: &TableFiles, facts: &HashMap<Path, Inspected>) -> TableDefinition {
    let handle = match &table.contents {
        Ok(contents) => readable(table, contents, facts),
        Err(why) => Err(why.clone()),
    };
    let mut definition = TableDefinition {
        schema: table.schema.clone(),
        name: table.name.clone(),
        kind: TableKind::Files,
        columns: Arc::new(Schema::empty()),
        comment: None,
        keys: Vec::new(),
        foreign_keys: Vec::new(),
        statistics: TableStatistics::default(),
        handle: None,
    };
    let handle = match handle {
        Ok(readable) => {
            definition.columns = readable.schema();
            definition.statistics = TableStatistics {
                rows: Some(readable.files.iter().map(|file| file.facts.rows()).sum()),
                bytes: Some(readable.files.iter().map(|file| file.meta.size).sum()),
                pages: None,
                columns: estimates::of_table(&readable),
            };
            Handle::Readable(Arc::new(readable))
        }
        Err(why) => {
            definition.comment = Some(format!("unreadable: {why}"));
            Handle::Unreadable(why)
        }
    };
    definition.handle = Some(Arc::new(handle));
    definition
}

/// Why a table of this source can't be read.
pub(super) fn problem(definition: &TableDefinition) -> Option<&str> {
    match definition.handle.as_ref()?.downcast_ref::<Handle>()? {
        Handle::Readable(_) => None,
        Handle::Unreadable(why) => Some(why),
    }
}

fn readable(
    table: &TableFiles,
    contents: &Contents,
    facts: &HashMap<Path, Inspected>,
) -> Result<ReadableTable, String> {
    let mut files = Vec::with_capacity(contents.files.len());
    for file in &contents.files {
        let facts = match facts.get(&file.meta.location) {
            Some(inspected) => inspected.clone()?,
            None => return Err(format!("file \"{}\" was not inspected", file.meta.location)),
        };
        files.push(TableFile { meta: file.meta.clone(), facts, partition_values: Vec::new() });
    }
    let columns = unite(&files)?;
    let mut partition_fields = Vec::with_capacity(contents.partition_names.len());
    for (index, name) in contents.partition_names.iter().enumerate() {
        if columns.names().any(|column| column == name) {
            return Err(format!("column \"{name}\" is named both by folders and in files"));
        }
        let values: Vec<_> =
            contents.files.iter().map(|file| file.partition_values[index].as_deref()).collect();
        let (data_type, values) = partition_values(&values);
        partition_fields.push(Field::new(name, data_type, true));
        for (file, value) in files.iter_mut().zip(values) {
            file.partition_values.push(value);
        }
    }
    if columns.names().next().is_none() {
        let path = files.first().map_or("", |file| file.meta.location.as_ref());
        return Err(format!("file \"{path}\" is empty, so that it names no columns"));
    }
    let name = format!("{}.{}", table.schema, table.name);
    Ok(ReadableTable { name, format: contents.format, columns, partition_fields, files })
}

/// Unites the columns of all files by name, in the order in which they first appear.
fn unite(files: &[TableFile]) -> Result<Columns, String> {
    let mut typed: Vec<(String, ColumnType)> = Vec::new();
    let mut text: Vec<(String, Kind)> = Vec::new();
    let mut positions: HashMap<&str, usize> = HashMap::new();
    for file in files {
        match &*file.facts {
            Facts::Text(facts) => {
                for (name, kind) in &facts.columns {
                    match positions.get(name.as_str()) {
                        Some(&position) => text[position].1 = text[position].1.or(*kind),
                        None => {
                            positions.insert(name, text.len());
                            text.push((name.clone(), *kind));
                        }
                    }
                }
            }
            Facts::Arrow(_) | Facts::Parquet(_) => {
                let mut names = HashSet::new();
                for (name, column) in file.facts.typed_columns() {
                    let path = &file.meta.location;
                    if !names.insert(name) {
                        return Err(format!("file \"{path}\" has two columns \"{name}\""));
                    }
                    let Some(&position) = positions.get(name.as_str()) else {
                        positions.insert(name, typed.len());
                        typed.push((name.clone(), column.clone()));
                        continue;
                    };
                    let before = &typed[position].1;
                    let both = before.or(column).ok_or_else(|| {
                        format!(
                            "column \"{name}\" is {} in file \"{path}\" and {} in files before it",
                            column.data_type, before.data_type
                        )
                    })?;
                    typed[position].1 = both;
                }
            }
        }
    }
    Ok(if typed.is_empty() { Columns::Text(text) } else { Columns::Typed(typed) })
}

impl Columns {
    fn names(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        match self {
            Self::Typed(columns) => Box::new(columns.iter().map(|(name, _)| name)),
            Self::Text(columns) => Box::new(columns.iter().map(|(name, _)| name)),
        }
    }

    fn fields(&self) -> Vec<Field> {
        let field = |name: &String, data_type: DataType| Field::new(name, data_type, true);
        match self {
            Self::Typed(columns) => {
                columns.iter().map(|(name, column)| field(name, column.data_type.clone())).collect()
            }
            Self::Text(columns) => {
                columns.iter().map(|(name, kind)| field(name, kind.data_type())).collect()
            }
        }
    }
}

impl ReadableTable {
    fn schema(&self) -> SchemaRef {
        let mut fields = self.columns.fields();
        fields.extend(self.partition_fields.iter().cloned());
        Arc::new(Schema::new(fields))
    }

    /// The files that filters over partition columns leave, by position.
    fn prune(&self, session: &dyn Session, filters: &[Expr]) -> Vec<usize> {
        let all = || (0..self.files.len()).collect();
        let is_partition =
            |name: &str| self.partition_fields.iter().any(|field| field.name() == name);
        let usable = filters.iter().filter(|filter| {
            let columns = filter.column_refs();
            !filter.is_volatile()
                && !columns.is_empty()
                && columns.iter().all(|column| is_partition(&column.name))
        });
        let Some(filter) = conjunction(usable.cloned()) else {
            return all();
        };
        // A filter that fails here fails again over the rows, where it is reported.
        self.matching(session, filter).unwrap_or_else(|_| all())
    }

    fn matching(&self, session: &dyn Session, filter: Expr) -> EngineResult<Vec<usize>> {
        let schema = Arc::new(Schema::new(self.partition_fields.clone()));
        let columns = (0..self.partition_fields.len())
            .map(|index| {
                let values = self.files.iter().map(|file| file.partition_values[index].clone());
                ScalarValue::iter_to_array(values)
            })
            .collect::<EngineResult<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        let filter = session.create_physical_expr(filter, &DFSchema::try_from(schema)?)?;
        let kept = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
        let all = (0..self.files.len()).collect();
        Ok(match kept.as_any().downcast_ref::<BooleanArray>() {
            Some(kept) => (0..kept.len()).filter(|&i| kept.is_valid(i) && kept.value(i)).collect(),
            None => all,
        })
    }
}

impl Facts {
    pub(super) fn typed_columns(&self) -> &[(String, ColumnType)] {
        match self {
            Self::Arrow(facts) => &facts.columns,
            Self::Parquet(facts) => &facts.columns,
            Self::Text(_) => &[],
        }
    }
}

/// Reads one table.
pub(super) struct FileTable {
    definition: Arc<TableDefinition>,
    store: Arc<dyn FileStore>,
    url: ObjectStoreUrl,
}

impl FileTable {
    pub(super) fn new(
        definition: Arc<TableDefinition>,
        store: Arc<dyn FileStore>,
        url: ObjectStoreUrl,
    ) -> Self {
        Self { definition, store, url }
    }

    pub(super) fn readable(&self) -> Result<&Arc<ReadableTable>, SourceError> {
        let handle = self.definition.handle.as_ref().and_then(|handle| handle.downcast_ref());
        match handle {
            Some(Handle::Readable(table)) => Ok(table),
            Some(Handle::Unreadable(why)) => Err(SourceError::new(
                SourceErrorKind::Rejected,
                format!(
                    "table \"{}.{}\" can't be read: {why}",
                    self.definition.schema, self.definition.name
                ),
            )),
            None => Err(SourceError::new(
                SourceErrorKind::Internal,
                "the table is not one of this source",
            )),
        }
    }
}

impl fmt::Debug for FileTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileTable({}.{})", self.definition.schema, self.definition.name)
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.definition.columns)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters leave out files and parts of files, and are checked again on every row.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    /// For the planner alone: what the operators are told is in [`FileTable::statistics_of_scan`].
    fn statistics(&self) -> Option<Statistics> {
        Some(self.definition.statistics.estimates(self.definition.columns.fields().len()))
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let table = self.readable()?;
        let kept = table.prune(session, filters);
        let metas: Vec<_> = kept.iter().map(|&index| table.files[index].meta.clone()).collect();
        // Also what makes row counts exact: a count may be answered without opening a file.
        self.store.verify(&metas).await.map_err(verification_error)?;
        match table.format {
            Format::Parquet => self.scan_parquet(table, session, &kept, projection, filters, limit),
            Format::Arrow | Format::Csv | Format::Ndjson => {
                let projection = match projection {
                    Some(projection) => projection.clone(),
                    None => (0..self.definition.columns.fields().len()).collect(),
                };
                Ok(Arc::new(FileScanExec::try_new(
                    Arc::clone(table),
                    self.store.objects(),
                    Arc::new(self.definition.columns.project(&projection)?),
                    projection,
                    kept,
                    limit,
                    session.config().target_partitions(),
                )?))
            }
        }
    }
}

impl FileTable {
    fn scan_parquet(
        &self,
        table: &Arc<ReadableTable>,
        session: &dyn Session,
        kept: &[usize],
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let Columns::Typed(columns) = &table.columns else {
            return Err(SourceError::new(SourceErrorKind::Internal, "columns have no types").into());
        };
        let partition_fields: Vec<_> =
            table.partition_fields.iter().cloned().map(Arc::new).collect();
        let schema = TableSchema::builder(parquet::file_schema(columns))
            .with_table_partition_cols(partition_fields)
            .build();
        let mut options = TableParquetOptions {
            global: session.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        options.global.coerce_int96 = Some(parquet::INT96_UNIT.to_owned());
        options.global.coerce_int96_tz = None;
        let store = self.store.objects();
        let mut source = ParquetSource::new(schema)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(VersionedReaders {
                store: Arc::clone(&store),
            }));
        let mut first = None;
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let columns = match projection {
                Some(projection) => Arc::new(self.schema().project(projection)?),
                None => self.schema(),
            };
            let columns = DFSchema::try_from(columns)?;
            if filter.column_refs().iter().all(|column| columns.has_column(column)) {
                first = Some(session.create_physical_expr(filter.clone(), &columns)?);
            }
            let schema = DFSchema::try_from(self.schema())?;
            source = source.with_predicate(session.create_physical_expr(filter, &schema)?);
        }
        // The plan finds its store by this name; the readers above already hold it.
        session.runtime_env().register_object_store(self.url.as_ref(), store);
        let files = kept.iter().map(|&index| &table.files[index]).map(|file| {
            PartitionedFile::new_from_meta(file.meta.clone())
                .with_partition_values(file.partition_values.clone())
                .with_extension(FactsOfFile(Arc::clone(&file.facts)))
        });
        let groups = FileGroup::new(files.collect())
            .split_files(session.config().target_partitions().max(1));
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(self.statistics_of_scan(table, kept))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        let what = match kept {
            [index] => format!("file \"{}\"", table.files[*index].meta.location),
            _ => format!("table \"{}\"", table.name),
        };
        let (config, table) = (Arc::new(config), Arc::clone(table));
        Ok(DataSourceExec::from_data_source(NamedScan::new(config, table, what.into(), first)))
    }

    /// Row counts are exact: the footers of exactly these versions say them. Nothing is said of
    /// columns: a minimum or maximum would answer queries in the place of rows, without NaN, and
    /// cut short where a writer cut it.
    fn statistics_of_scan(&self, table: &ReadableTable, kept: &[usize]) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.definition.columns);
        let files = || kept.iter().map(|&index| &table.files[index]);
        let rows: u64 = files().map(|file| file.facts.rows()).sum();
        let bytes: u64 = files().map(|file| file.meta.size).sum();
        if let Ok(rows) = usize::try_from(rows) {
            statistics.num_rows = Precision::Exact(rows);
        }
        if let Ok(bytes) = usize::try_from(bytes) {
            statistics.total_byte_size = Precision::Inexact(bytes);
        }
        statistics
    }
}

fn verification_error(error: object_store::Error) -> SourceError {
    let location = match &error {
        object_store::Error::Precondition { path, .. }
        | object_store::Error::NotFound { path, .. }
        | object_store::Error::PermissionDenied { path, .. } => Path::from(path.as_str()),
        _ => Path::default(),
    };
    store_error(&location, error)
}
