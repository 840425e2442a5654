//! Files that hold secrets: read only when nobody else can read them, replaced only as a whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use crate::error::{Error, ErrorKind, Result};

/// No file of ours comes near this.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Reads a file that holds a secret, and refuses one that others may read. As in PostgreSQL, a
/// file of root may be readable by its group, so that a service can be lent it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|error| io_error("could not open", path, error))?;
    let metadata = file.metadata().map_err(|error| io_error("could not read", path, error))?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::Config, format!("{path:?} is not a file")));
    }
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(Error::new(
            ErrorKind::Config,
            format!("{path:?} can be read or changed by others than its owner"),
        )
        .with_hint(format!("Run: chmod 600 {}", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| io_error("could not read", path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::new(
            ErrorKind::Config,
            format!("{path:?} is larger than {MAX_BYTES} bytes"),
        ));
    }
    Ok(bytes)
}

/// Replaces a file as a whole: after a crash there is the old one or the new one. The caller holds
/// the lock that keeps other writers away.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let failed = |error| io_error("could not write", path, error);
    // What a crash left behind could have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

pub fn io_error(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{what} {path:?}: {error}")).with_source(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_private_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!path.with_extension("tmp").exists());

        for (mode, is_refused) in [(0o600, false), (0o400, false), (0o604, true), (0o620, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_err(), is_refused, "{mode:o}");
        }
        let error = read(&path).unwrap_err();
        assert!(error.hint.unwrap().contains("chmod 600"));
        assert!(read(folder.path()).is_err());
        assert!(read(&folder.path().join("missing")).is_err());
    }
}
