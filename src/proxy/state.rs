use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use secrecy::SecretString;

use crate::{
    auth::private_file,
    config::Config,
    error::{Error, ErrorKind, Result},
    policy::MaskKeys,
};

const MASK_KEY: &str = "mask.key";

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

/// The secret behind the masks of all tenants; the first start makes it, where none is configured.
/// Whoever calls this holds the [`StateLock`].
pub fn mask_keys(config: &Config) -> Result<MaskKeys> {
    let path = config.state.dir.join(MASK_KEY);
    if config.policy.mask_key.is_none() && !path.exists() {
        let bytes: [u8; 32] = rand::random();
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        private_file::replace(&path, text.as_bytes())?;
    }
    mask_keys_if_made(config)
}

/// As [`mask_keys`], but for a look that changes nothing: where none is made yet, any will do.
pub fn mask_keys_if_made(config: &Config) -> Result<MaskKeys> {
    if let Some(secret) = &config.policy.mask_key {
        return Ok(MaskKeys::new(secret.clone()));
    }
    let path = config.state.dir.join(MASK_KEY);
    if !path.exists() {
        return Ok(MaskKeys::passing());
    }
    let text = String::from_utf8(private_file::read(&path)?).unwrap_or_default();
    let key = text.trim();
    if key.len() < 32 {
        return Err(Error::new(ErrorKind::Config, format!("{path:?} holds no key")).with_hint(
            "Restore it: with another key, masked values differ from those of before.",
        ));
    }
    Ok(MaskKeys::new(SecretString::from(key)))
}

/// A folder whose files only the owner can read; one that is there is left as it is.
pub fn create_private_folder(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(folder)
        .map_err(|error| private_file::io_error("could not create", folder, error))
}
