use std::{
    collections::HashSet,
    fmt,
    fs::{File, Metadata},
    io,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Component, Path as FsPath, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    Attributes, CopyOptions, Error as StoreError, GetOptions, GetResult, GetResultPayload,
    ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, path::Path,
};
use rustix::fs::{Mode, OFlags};

use crate::{
    Result, SourceError, SourceErrorKind,
    files::{FileStore, Listed},
};

/// Folders within folders, below the root.
const MAX_DEPTH: usize = 32;
/// One read of a file that is read as a stream.
const CHUNK_BYTES: u64 = 1 << 20;
/// A range up to this size is read at once.
const WHOLE_RANGE_BYTES: u64 = 16 << 20;

/// The files below one folder, read-only.
///
/// A path is made canonical first, so that a link counts as what it points to, and must lie below
/// the root. Then it is opened one folder at a time without following any link, so that a link put
/// there in between is refused by the system and not followed.
#[derive(Debug, Clone)]
pub(super) struct ConfinedStore {
    root: Arc<PathBuf>,
    max_files: usize,
}

impl ConfinedStore {
    pub(super) fn new(root: PathBuf, max_files: usize) -> Self {
        Self { root: Arc::new(root), max_files }
    }

    /// The root as it is now: a link that an operator turns to another folder is followed.
    fn canonical_root(&self) -> Result<PathBuf> {
        let unreadable = |error: io::Error| {
            SourceError::new(
                SourceErrorKind::Unavailable,
                format!("folder \"{}\" can't be read: {}", self.root.display(), reason(&error)),
            )
        };
        let root = self.root.canonicalize().map_err(unreadable)?;
        if !root.metadata().map_err(unreadable)?.is_dir() {
            return Err(SourceError::new(
                SourceErrorKind::InvalidOption,
                format!("root \"{}\" is not a folder", self.root.display()),
            ));
        }
        Ok(root)
    }

    fn list_files(&self) -> Result<Vec<Listed>> {
        let root = self.canonical_root()?;
        let mut walk = Walk { root: &root, max_files: self.max_files, found: Vec::new() };
        let entries = std::fs::read_dir(&root).map_err(|error| {
            SourceError::new(
                SourceErrorKind::Unavailable,
                format!("folder \"{}\" can't be read: {}", self.root.display(), reason(&error)),
            )
        })?;
        walk.folder(entries, "", &mut vec![root.clone()])?;
        Ok(walk.found)
    }

    fn open(&self, location: &Path) -> Result<(File, ObjectMeta), StoreError> {
        let root = self.root.canonicalize().map_err(|error| store_error(location, error))?;
        let file =
            open_below(&root, location.as_ref()).map_err(|error| store_error(location, error))?;
        let metadata = file.metadata().map_err(|error| store_error(location, error))?;
        if !metadata.is_file() {
            return Err(refused(location, "it is not a regular file"));
        }
        let meta = object_meta(location.clone(), &metadata);
        Ok((file, meta))
    }
}

#[async_trait]
impl FileStore for ConfinedStore {
    async fn list(&self) -> Result<Vec<Listed>> {
        let store = self.clone();
        blocking(move || store.list_files()).await
    }

    async fn verify(&self, files: &[ObjectMeta]) -> Result<(), StoreError> {
        let store = self.clone();
        let files = files.to_vec();
        let task = tokio::task::spawn_blocking(move || {
            files.iter().try_for_each(|expected| {
                let (_, found) = store.open(&expected.location)?;
                unchanged(expected, &found)
            })
        });
        task.await.map_err(join_error)?
    }

    fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.clone())
    }

    fn describe(&self) -> String {
        format!("folder {}", self.root.display())
    }
}

impl fmt::Display for ConfinedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfinedStore({})", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for ConfinedStore {
    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        let store = self.clone();
        let location = location.clone();
        let task = tokio::task::spawn_blocking(move || {
            let (file, meta) = store.open(&location)?;
            options.check_preconditions(&meta)?;
            let range = match &options.range {
                Some(range) => range.as_range(meta.size).map_err(|error| StoreError::Generic {
                    store: "local",
                    source: Box::new(error),
                })?,
                None => 0..meta.size,
            };
            let payload = if options.head {
                stream::empty().boxed()
            } else {
                read_stream(file, meta.clone(), range.clone())
            };
            Ok(GetResult {
                payload: GetResultPayload::Stream(payload),
                meta,
                range,
                attributes: Attributes::default(),
            })
        });
        task.await.map_err(join_error)?
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let store = self.clone();
        let prefix = prefix.cloned();
        let listing = async move {
            let listed = blocking(move || store.list_files())
                .await
                .map_err(|error| StoreError::Generic { store: "local", source: Box::new(error) });
            let listed = match listed {
                Ok(listed) => listed,
                Err(error) => return vec![Err(error)],
            };
            listed
                .into_iter()
                .filter(|file| file.refused.is_none())
                .filter(|file| {
                    prefix.as_ref().is_none_or(|prefix| file.meta.location.prefix_matches(prefix))
                })
                .map(|file| Ok(file.meta))
                .collect()
        };
        stream::once(listing).flat_map(stream::iter).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> object_store::Result<ListResult> {
        Err(not_implemented("list one folder"))
    }

    async fn put_opts(
        &self,
        _: &Path,
        _: PutPayload,
        _: PutOptions,
    ) -> object_store::Result<PutResult> {
        Err(not_implemented("write"))
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Err(not_implemented("write"))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        locations.map(|_| Err(not_implemented("delete"))).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> object_store::Result<()> {
        Err(not_implemented("copy"))
    }
}

/// Opens `relative` below the canonical `root`; an error if it leads anywhere else.
fn open_below(root: &FsPath, relative: &str) -> io::Result<File> {
    let joined = root.join(relative);
    if FsPath::new(relative).components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not a plain path"));
    }
    let canonical = joined.canonicalize()?;
    let Ok(inside) = canonical.strip_prefix(root) else {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it leads out of the root"));
    };
    // Not blocking: a named pipe must not stop us here, it is refused as "not a regular file".
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let folder = flags | OFlags::DIRECTORY;
    let mut here = rustix::fs::open(root, folder, Mode::empty())?;
    let mut parts = inside.iter().peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_some() { folder } else { flags };
        here = rustix::fs::openat(&here, part, flags, Mode::empty())?;
    }
    Ok(File::from(here))
}

/// Reads a range in chunks. After each chunk the file is looked at again: bytes of a file that was
/// written to meanwhile are an error and never an answer.
fn read_stream(
    file: File,
    meta: ObjectMeta,
    range: Range<u64>,
) -> BoxStream<'static, object_store::Result<Bytes>> {
    let chunk_bytes =
        if range.end - range.start <= WHOLE_RANGE_BYTES { WHOLE_RANGE_BYTES } else { CHUNK_BYTES };
    stream::try_unfold((file, range), move |(file, range)| {
        let meta = meta.clone();
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            let end = range.end.min(range.start + chunk_bytes);
            let task = tokio::task::spawn_blocking(move || {
                let bytes = read_range(&file, &meta, range.start..end)?;
                Ok(Some((bytes, (file, end..range.end))))
            });
            task.await.map_err(join_error)?
        }
    })
    .boxed()
}

fn read_range(file: &File, meta: &ObjectMeta, range: Range<u64>) -> Result<Bytes, StoreError> {
    let length = usize::try_from(range.end - range.start)
        .map_err(|error| StoreError::Generic { store: "local", source: Box::new(error) })?;
    let mut bytes = vec![0; length];
    let read = file.read_exact_at(&mut bytes, range.start);
    let now = file.metadata().map_err(|error| store_error(&meta.location, error))?;
    unchanged(meta, &object_meta(meta.location.clone(), &now))?;
    read.map_err(|error| store_error(&meta.location, error))?;
    Ok(bytes.into())
}

fn unchanged(expected: &ObjectMeta, found: &ObjectMeta) -> Result<(), StoreError> {
    if expected.e_tag == found.e_tag {
        return Ok(());
    }
    Err(StoreError::Precondition {
        path: expected.location.to_string(),
        source: "the file has changed".into(),
    })
}

/// The change time is part of the tag: tools such as `cp -p` write a file and then set its old
/// modification time again.
fn object_meta(location: Path, metadata: &Metadata) -> ObjectMeta {
    let last_modified =
        metadata.modified().map(DateTime::<Utc>::from).unwrap_or(DateTime::UNIX_EPOCH);
    let e_tag = format!(
        "{:x}-{:x}-{:x}.{:x}-{:x}.{:x}-{:x}",
        metadata.dev(),
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
        metadata.len()
    );
    ObjectMeta { location, last_modified, size: metadata.len(), e_tag: Some(e_tag), version: None }
}

struct Walk<'a> {
    root: &'a FsPath,
    max_files: usize,
    found: Vec<Listed>,
}

impl Walk<'_> {
    /// Adds what a folder holds. `above` are the canonical folders that lead here: a link to one of
    /// them would never end.
    fn folder(
        &mut self,
        entries: std::fs::ReadDir,
        prefix: &str,
        above: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let mut names = HashSet::new();
        for entry in entries {
            let Ok(entry) = entry else {
                self.refuse(format!("{prefix}?"), "its folder can't be read");
                continue;
            };
            let name = entry.file_name();
            let shown = name.to_string_lossy();
            if shown.starts_with(['_', '.']) {
                continue;
            }
            let path = format!("{prefix}{shown}");
            if name.to_str().is_none() || Path::parse(&path).is_err() {
                self.refuse(path, "its name holds characters that a table name can't have");
            } else if names.insert(shown.to_string()) {
                self.entry(&entry.path(), path, above)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &FsPath, path: String, above: &mut Vec<PathBuf>) -> Result<()> {
        let canonical = match entry.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) => {
                // Deleted since the folder was read: not a link, and no longer there.
                if error.kind() != io::ErrorKind::NotFound || entry.is_symlink() {
                    self.refuse(path, &reason(&error));
                }
                return Ok(());
            }
        };
        if !canonical.starts_with(self.root) {
            self.refuse(path, "it is a link that leads out of the root");
            return Ok(());
        }
        let metadata = match canonical.metadata() {
            Ok(metadata) => metadata,
            Err(error) => {
                self.refuse(path, &reason(&error));
                return Ok(());
            }
        };
        if metadata.is_dir() {
            if above.contains(&canonical) {
                self.refuse(path, "it is a link to a folder above it");
            } else if above.len() > MAX_DEPTH {
                self.refuse(path, "it lies too deep");
            } else {
                match std::fs::read_dir(&canonical) {
                    Ok(entries) => {
                        above.push(canonical);
                        self.folder(entries, &format!("{path}/"), above)?;
                        above.pop();
                    }
                    Err(error) => self.refuse(format!("{path}/?"), &reason(&error)),
                }
            }
        } else if metadata.is_file() {
            let Ok(location) = Path::parse(&path) else {
                self.refuse(path, "its name holds characters that a table name can't have");
                return Ok(());
            };
            self.found.push(Listed { meta: object_meta(location, &metadata), refused: None });
            if self.found.len() > self.max_files {
                return Err(SourceError::new(
                    SourceErrorKind::InvalidOption,
                    format!("root holds more than {} files", self.max_files),
                )
                .with_hint("Point \"root\" at a smaller folder, or raise \"max_files\"."));
            }
        } else {
            self.refuse(path, "it is not a regular file");
        }
        Ok(())
    }

    fn refuse(&mut self, path: String, why: &str) {
        tracing::warn!(path, why, "file refused");
        let meta = ObjectMeta {
            location: Path::from(path),
            last_modified: DateTime::UNIX_EPOCH,
            size: 0,
            e_tag: None,
            version: None,
        };
        self.found.push(Listed { meta, refused: Some(why.to_owned()) });
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        SourceError::new(SourceErrorKind::Internal, "a file task ended early").with_source(error)
    })?
}

fn join_error(error: tokio::task::JoinError) -> StoreError {
    StoreError::JoinError { source: error }
}

/// Says why without the system's number, and without the path, which may lead outside.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
            "permission denied".to_owned()
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            "it is a link that leads nowhere or changed meanwhile".to_owned()
        }
        kind if error.raw_os_error().is_some() => kind.to_string(),
        _ => error.to_string(),
    }
}

fn store_error(location: &Path, error: io::Error) -> StoreError {
    let path = location.to_string();
    match error.kind() {
        io::ErrorKind::NotFound => StoreError::NotFound { path, source: Box::new(error) },
        io::ErrorKind::PermissionDenied => refused(location, &reason(&error)),
        _ => StoreError::Generic { store: "local", source: reason(&error).into() },
    }
}

fn refused(location: &Path, why: &str) -> StoreError {
    StoreError::PermissionDenied { path: location.to_string(), source: why.to_owned().into() }
}

fn not_implemented(operation: &str) -> StoreError {
    StoreError::NotImplemented {
        operation: operation.to_owned(),
        implementer: "the read-only store of local files".to_owned(),
    }
}
