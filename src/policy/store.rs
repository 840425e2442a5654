use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{Access, CasbinPolicy, MaskKeys, ObjectPath, Policy};
use crate::{
    auth::Principal,
    error::{Error, ErrorKind, Result},
    telemetry::Door,
};

/// How long a new policy may decide beforehand what the old one was asked.
const WARM_UP: Duration = Duration::from_millis(200);

/// The policy in force. A reload swaps it whole; a file with a mistake leaves the old one.
#[derive(Debug)]
pub struct PolicyStore {
    model: PathBuf,
    policy: PathBuf,
    keys: MaskKeys,
    current: ArcSwap<CasbinPolicy>,
    version: AtomicU64,
    /// The files are no policy since they were last changed.
    is_broken: AtomicBool,
    seen: Mutex<Seen>,
}

/// The policy in force, and whether the files say something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyState {
    pub version: u64,
    pub is_broken: bool,
}

#[derive(Debug)]
struct Seen {
    /// Of the files as they were last read.
    read: Stamps,
    /// Of the files at the last look.
    last: Stamps,
}

/// Of both files. Symbolic links are followed, so that one that is switched counts as a change.
type Stamps = [Option<Stamp>; 2];

/// Changes whenever a file is replaced or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl PolicyStore {
    pub async fn open(model: &Path, policy: &Path, keys: MaskKeys) -> Result<Self> {
        let stamps = stamps(model, policy);
        let current = read(model, policy, &keys).await?;
        Ok(Self {
            model: model.to_owned(),
            policy: policy.to_owned(),
            keys,
            current: ArcSwap::from_pointee(current),
            version: AtomicU64::new(1),
            is_broken: AtomicBool::new(false),
            seen: Mutex::new(Seen { read: stamps, last: stamps }),
        })
    }

    /// Grows with every change: caches and prepared statements compare it.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn state(&self) -> PolicyState {
        PolicyState { version: self.version(), is_broken: self.is_broken.load(Ordering::Acquire) }
    }

    pub fn current(&self) -> Arc<CasbinPolicy> {
        self.current.load_full()
    }

    /// Reads the files again if they changed, once two looks have found them alike: half a file that
    /// is being written may lack the rules that deny. On an error the old policy stays in force.
    pub async fn reload_if_changed(&self) -> Result<bool> {
        let now = stamps(&self.model, &self.policy);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let is_settled = seen.last == now;
            seen.last = now;
            if seen.read == now || !is_settled {
                return Ok(false);
            }
        }
        let outcome = read(&self.model, &self.policy, &self.keys).await;
        if stamps(&self.model, &self.policy) != now {
            // Written while it was read: what was read may be of both.
            return Ok(false);
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).read = now;
        self.is_broken.store(outcome.is_err(), Ordering::Release);
        let policy = outcome?;
        policy.warm_up(&self.current.load(), WARM_UP);
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

    fn may_copy(&self, principal: &Principal, table: &ObjectPath, columns: &[&str]) -> bool {
        self.current.load().may_copy(principal, table, columns)
    }

    fn may_leave(&self, principal: &Principal, table: &ObjectPath, column: &str) -> bool {
        self.current.load().may_leave(principal, table, column)
    }

    fn may_execute(&self, principal: &Principal, function: &str) -> bool {
        self.current.load().may_execute(principal, function)
    }

    fn may_connect(&self, principal: &Principal, door: Door, peer: std::net::IpAddr) -> bool {
        self.current.load().may_connect(principal, door, peer)
    }

    fn may_refresh(&self, principal: &Principal, catalog: &str) -> bool {
        self.current.load().may_refresh(principal, catalog)
    }

    fn may_administer(&self, principal: &Principal, action: &str) -> bool {
        self.current.load().may_administer(principal, action)
    }
}

fn stamps(model: &Path, policy: &Path) -> Stamps {
    [model, policy].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    })
}

async fn read(model: &Path, policy: &Path, keys: &MaskKeys) -> Result<CasbinPolicy> {
    let text = |path: &Path| {
        fs::read_to_string(path).map_err(|error| {
            Error::new(ErrorKind::Config, format!("can't read {}: {error}", path.display()))
                .with_source(error)
        })
    };
    let (model_text, policy_text) = (text(model)?, text(policy)?);
    CasbinPolicy::load(&model_text, &policy_text, keys.clone()).await.map_err(|mut error| {
        error.message = format!("{}: {}", policy.display(), error.message);
        error
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, os::unix::fs::symlink};

    use super::*;
    use crate::{
        auth::{RoleName, TenantName, UserName},
        policy::MODEL,
    };

    const SHOWS: &str = "p, role:analyst, *, shop, select, , allow\n";
    const HIDES: &str = "p, role:analyst, *, shop, select, , deny\n";
    const BROKEN: &str = "p, role:analyst, *, shop, select, , permit\n";

    struct Place {
        folder: tempfile::TempDir,
        store: PolicyStore,
    }

    impl Place {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            fs::write(path("model.conf"), MODEL).unwrap();
            fs::write(path("real.csv"), SHOWS).unwrap();
            symlink("real.csv", path("policy.csv")).unwrap();
            let keys = MaskKeys::passing();
            let store =
                PolicyStore::open(&path("model.conf"), &path("policy.csv"), keys).await.unwrap();
            Self { folder, store }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn shows(&self) -> bool {
            let principal = Principal {
                name: UserName::parse("ann").unwrap(),
                roles: vec![RoleName::parse("analyst").unwrap()],
                tenant: TenantName::parse("acme").unwrap(),
                attributes: BTreeMap::new(),
            };
            let table =
                ObjectPath { catalog: "shop".into(), schema: "s".into(), table: "t".into() };
            self.store.access(&principal, &table, &["id"]) != Access::Denied
        }

        /// Looks until nothing is new; what the last look that read something said.
        async fn settle(&self) -> Option<bool> {
            let mut said = None;
            for _ in 0..3 {
                match self.store.reload_if_changed().await {
                    Ok(false) => {}
                    Ok(true) => said = Some(true),
                    Err(_) => said = Some(false),
                }
            }
            said
        }
    }

    #[tokio::test]
    async fn every_kind_of_change_is_seen_and_a_broken_file_changes_nothing() {
        let place = Place::new().await;
        assert!(place.shows());
        assert_eq!(place.settle().await, None);
        assert_eq!(place.store.state(), PolicyState { version: 1, is_broken: false });

        // Written in place, of the same length as the time before.
        fs::write(place.path("real.csv"), HIDES).unwrap();
        assert_eq!(place.settle().await, Some(true));
        assert!(!place.shows());

        // Replaced by another file.
        fs::write(place.path("new.csv"), SHOWS).unwrap();
        fs::rename(place.path("new.csv"), place.path("real.csv")).unwrap();
        assert_eq!(place.settle().await, Some(true));
        assert!(place.shows());

        // A link that leads elsewhere.
        fs::write(place.path("other.csv"), HIDES).unwrap();
        symlink("other.csv", place.path("link")).unwrap();
        fs::rename(place.path("link"), place.path("policy.csv")).unwrap();
        assert_eq!(place.settle().await, Some(true));
        assert!(!place.shows());
        assert_eq!(place.store.state(), PolicyState { version: 4, is_broken: false });

        for (file, text) in
            [("other.csv", BROKEN), ("model.conf", "[matchers]\nm = true\n"), ("other.csv", SHOWS)]
        {
            fs::write(place.path(file), text).unwrap();
            assert_eq!(place.settle().await, Some(false), "{file}");
            assert!(!place.shows());
            // Said once.
            assert_eq!(place.settle().await, None);
            assert_eq!(place.store.state(), PolicyState { version: 4, is_broken: true });
        }
        fs::remove_file(place.path("model.conf")).unwrap();
        assert_eq!(place.settle().await, Some(false));
        fs::write(place.path("model.conf"), MODEL).unwrap();
        assert_eq!(place.settle().await, Some(true));
        assert!(place.shows());
        assert_eq!(place.store.state(), PolicyState { version: 5, is_broken: false });
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_left_alone() {
        let place = Place::new().await;
        for length in 1..HIDES.len() {
            fs::write(place.path("real.csv"), &HIDES[..length]).unwrap();
            assert!(!place.store.reload_if_changed().await.unwrap(), "{length}");
            assert!(place.shows());
        }
        fs::write(place.path("real.csv"), HIDES).unwrap();
        assert_eq!(place.settle().await, Some(true));
        assert!(!place.shows());
    }
}
