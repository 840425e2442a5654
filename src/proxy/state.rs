use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use crate::{
    auth::private_file,
    error::{Error, ErrorKind, Result},
};

/// The right to run with a state folder. One process has it at a time; it ends with the process.
#[derive(Debug)]
pub struct StateLock(#[allow(dead_code, reason = "held for its lock")] File);

impl StateLock {
    /// Makes the folder where it is missing.
    pub fn acquire(folder: &Path) -> Result<Self> {
        create_private_folder(folder)?;
        let path = folder.join("lock");
        let failed = |error| private_file::io_error("could not lock", &path, error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Config,
                format!("another weir is running with the state folder {folder:?}"),
            )
            .with_hint("Stop it first, or give this one a folder of its own.")),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// A folder whose files only the owner can read; one that is there is left as it is.
pub fn create_private_folder(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(folder)
        .map_err(|error| private_file::io_error("could not create", folder, error))
}
