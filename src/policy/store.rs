use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;

use super::{Access, CasbinPolicy, ObjectPath, Policy};
use crate::{
    auth::Principal,
    error::{Error, ErrorKind, Result},
};

/// The policy in force. A reload swaps it whole; a file with a mistake leaves the old one.
#[derive(Debug)]
pub struct PolicyStore {
    model: PathBuf,
    policy: PathBuf,
    current: ArcSwap<CasbinPolicy>,
    version: AtomicU64,
    modified: ArcSwap<Stamp>,
}

/// Size and time of both files: when they change, so may the policy.
type Stamp = [Option<(u64, SystemTime)>; 2];

impl PolicyStore {
    pub async fn open(model: &Path, policy: &Path) -> Result<Self> {
        let modified = stamp(model, policy);
        let current = read(model, policy).await?;
        Ok(Self {
            model: model.to_owned(),
            policy: policy.to_owned(),
            current: ArcSwap::from_pointee(current),
            version: AtomicU64::new(1),
            modified: ArcSwap::from_pointee(modified),
        })
    }

    /// Grows with every change: caches and prepared statements compare it.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Reads the files again if they changed. On an error the old policy stays in force.
    pub async fn reload_if_changed(&self) -> Result<bool> {
        let stamp = stamp(&self.model, &self.policy);
        if stamp == **self.modified.load() {
            return Ok(false);
        }
        self.modified.store(Arc::new(stamp));
        let policy = read(&self.model, &self.policy).await?;
        self.current.store(Arc::new(policy));
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(true)
    }
}

impl Policy for PolicyStore {
    fn access(&self, principal: &Principal, table: &ObjectPath, columns: &[&str]) -> Access {
        self.current.load().access(principal, table, columns)
    }

    fn may_explain(&self, principal: &Principal, table: &ObjectPath) -> bool {
        self.current.load().may_explain(principal, table)
    }

    fn may_administer(&self, principal: &Principal, action: &str) -> bool {
        self.current.load().may_administer(principal, action)
    }
}

fn stamp(model: &Path, policy: &Path) -> Stamp {
    [model, policy].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

async fn read(model: &Path, policy: &Path) -> Result<CasbinPolicy> {
    let text = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| {
            Error::new(ErrorKind::Config, format!("can't read {}: {error}", path.display()))
                .with_source(error)
        })
    };
    let (model_text, policy_text) = (text(model)?, text(policy)?);
    CasbinPolicy::load(&model_text, &policy_text).await.map_err(|mut error| {
        error.message = format!("{}: {}", policy.display(), error.message);
        error
    })
}
