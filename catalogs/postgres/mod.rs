//! PostgreSQL 12 and later as a source.
//!
//! Rows travel as `COPY … TO STDOUT (FORMAT BINARY)` and are decoded straight into Arrow. Invariant:
//! sessions are read-only, and run our own statements only; a value that does not fit is an error.

mod client;
mod copy;
mod decode;
pub(crate) mod dialect;
mod discovery;
mod options;
mod parallel;
mod tls;
mod types;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{catalog::TableProvider, execution::SendableRecordBatchStream};

use self::{client::Client, discovery::Scope, options::PostgresOptions};
use crate::{
    Capabilities, CatalogName, Options, Result, Source, SourceKind, TableDefinition,
    sql::{Dialect, RemoteQuery, RemoteSplit, RemoteSql, RemoteTable, SplitRead, SplitRows},
};

pub const KIND: SourceKind = SourceKind { name: "postgres", options: options::SPECS, open };

fn open(name: &CatalogName, options: Options) -> Result<Arc<dyn Source>> {
    let options = PostgresOptions::parse(name, &options)?;
    let client = Arc::new(Client::new(name, &options)?);
    let scope = Scope {
        schemas: options.schemas,
        exclude: options.exclude,
        statistics: options.statistics,
        numeric: options.numeric,
    };
    Ok(Arc::new(Postgres(Arc::new(Server {
        catalog: name.clone(),
        client,
        scope,
        max_parallel_reads: options.max_parallel_reads,
    }))))
}

#[derive(Debug)]
struct Postgres(Arc<Server>);

#[derive(Debug)]
struct Server {
    catalog: CatalogName,
    client: Arc<Client>,
    scope: Scope,
    max_parallel_reads: usize,
}

#[async_trait]
impl Source for Postgres {
    fn capabilities(&self) -> Capabilities {
        RemoteSql::capabilities(&*self.0)
    }

    async fn discover(&self) -> Result<Vec<TableDefinition>> {
        RemoteSql::discover(&*self.0).await
    }

    fn table(&self, definition: &Arc<TableDefinition>) -> Arc<dyn TableProvider> {
        Arc::new(RemoteTable::new(self.0.clone(), definition.clone()))
    }

    async fn check(&self) -> Result<String> {
        discovery::check(&self.0.client).await
    }

    async fn changed(&self) {
        self.0.client.changed().await;
    }

    fn default_schema(&self) -> &str {
        "public"
    }
}

#[async_trait]
impl RemoteSql for Server {
    fn catalog(&self) -> &CatalogName {
        &self.catalog
    }

    fn dialect(&self) -> &dyn Dialect {
        &dialect::Postgres
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            filter: true,
            limit: true,
            sort: true,
            aggregate: true,
            join: true,
            cancel: true,
        }
    }

    async fn discover(&self) -> Result<Vec<TableDefinition>> {
        discovery::discover(&self.client, &self.scope).await
    }

    async fn query(&self, query: RemoteQuery) -> Result<SendableRecordBatchStream> {
        let read = copy::read(&self.client, query).await;
        read.inspect_err(|error| self.client.note(error))
    }

    fn split_read(&self) -> Option<&dyn SplitRead> {
        Some(self)
    }
}

#[async_trait]
impl SplitRead for Server {
    fn streams(&self, pages: u64) -> usize {
        parallel::streams(pages, self.max_parallel_reads)
    }

    async fn read(&self, split: Arc<RemoteSplit>, rows: SplitRows) -> Result<()> {
        let read = parallel::read(&self.client, split, rows).await;
        read.inspect_err(|error| self.client.note(error))
    }
}
