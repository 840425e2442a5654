use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Error as StoreError, GetOptions, GetRange, ObjectMeta, ObjectStore, coalesce_ranges,
};
use std::ops::Range;

use crate::{Result, SourceError, SourceErrorKind};

/// Ranges closer than this are fetched in one piece.
const COALESCE_BYTES: u64 = 1 << 20;

/// Where the files of a catalog come from.
#[async_trait]
pub trait FileStore: fmt::Debug + Send + Sync + 'static {
    /// Every file below the root except those whose name, or a folder's name, starts with `_` or
    /// `.`; those that exist but can't be opened are listed as refused.
    async fn list(&self) -> Result<Vec<Listed>>;

    /// An error if a file is no longer the version described. Called before each scan: a store for
    /// which this takes the network answers from what it last heard.
    async fn verify(&self, files: &[ObjectMeta]) -> Result<(), StoreError>;

    /// The bytes. `GetOptions::if_match` must be honoured, up to the last byte of the stream.
    fn objects(&self) -> Arc<dyn ObjectStore>;

    /// What and where, in a few words: `folder /data`.
    fn describe(&self) -> String;
}

/// A file as a listing found it.
#[derive(Debug, Clone)]
pub struct Listed {
    pub meta: ObjectMeta,
    /// Why it can't be opened.
    pub refused: Option<String>,
}

/// Opens a stream over a range of exactly this version of a file.
pub(super) async fn open(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    range: Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    if range.is_empty() {
        return Ok(futures::stream::empty().boxed());
    }
    let options = GetOptions {
        range: Some(GetRange::Bounded(range)),
        if_match: file.e_tag.clone(),
        ..GetOptions::default()
    };
    let location = file.location.clone();
    let result =
        store.get_opts(&location, options).await.map_err(|error| store_error(&location, error))?;
    Ok(result.into_stream().map_err(move |error| store_error(&location, error)).boxed())
}

/// Fetches ranges of exactly this version of a file.
pub(super) async fn fetch_ranges(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    ranges: &[Range<u64>],
) -> Result<Vec<Bytes>> {
    let fetch = |range: Range<u64>| async move {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: file.e_tag.clone(),
            ..GetOptions::default()
        };
        let result = store
            .get_opts(&file.location, options)
            .await
            .map_err(|error| store_error(&file.location, error))?;
        let bytes = result.bytes().await.map_err(|error| store_error(&file.location, error))?;
        if bytes.len() as u64 != length {
            return Err(malformed(file, "it ends too early"));
        }
        Ok(bytes)
    };
    coalesce_ranges(ranges, fetch, COALESCE_BYTES).await
}

/// What a store's error means to a reader of `location`.
pub(super) fn store_error(location: &object_store::path::Path, error: StoreError) -> SourceError {
    let (kind, why) = match &error {
        StoreError::Precondition { .. } => (SourceErrorKind::Stale, "changed while it was in use"),
        StoreError::NotFound { .. } => (SourceErrorKind::Stale, "no longer exists"),
        StoreError::PermissionDenied { source, .. } => {
            let message = format!("file \"{location}\" can't be read: {source}");
            return SourceError::new(SourceErrorKind::PermissionDenied, message);
        }
        StoreError::Unauthenticated { .. } => {
            (SourceErrorKind::AuthenticationFailed, "can't be read: our credentials are refused")
        }
        _ => (SourceErrorKind::Unavailable, "can't be read"),
    };
    let mut mapped = SourceError::new(kind, format!("file \"{location}\" {why}"));
    if kind == SourceErrorKind::Stale {
        mapped = mapped.with_hint("Run the query again: the catalog is read again shortly.");
    }
    mapped.with_source(error)
}

/// An error about what a file holds.
pub(super) fn malformed(file: &ObjectMeta, why: impl fmt::Display) -> SourceError {
    SourceError::new(
        SourceErrorKind::Rejected,
        format!("file \"{}\" can't be read: {why}", file.location),
    )
}
