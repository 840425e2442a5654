//! What most scenarios share: a shop in PostgreSQL, files beside it, two users, one policy.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{Cluster, User, Weir, WeirBuilder, tests_folder};

pub const ADMIN: User =
    User { name: "admin", password: "pw-of-admin-7f3a", role: "admin", attributes: &[] };
/// Sees a part of the shop: `tests/fixtures/policy.csv` says which.
const ANALYST: User = User {
    name: "analyst",
    password: "pw-of-analyst-91cc",
    role: "analyst",
    attributes: &[("region", "EU"), ("region", "US")],
};
/// May log in, and nothing else.
const STRANGER: User =
    User { name: "stranger", password: "pw-of-stranger-b2d8", role: "stranger", attributes: &[] };

/// A PostgreSQL with `tests/fixtures/shop.sql`, and a weir before it.
pub struct World {
    // Before the cluster, so that it ends first.
    pub weir: Weir,
    pub cluster: Arc<Cluster>,
}

/// The world is shared by the tests that run now, and ends with the last of them.
pub fn world() -> Arc<World> {
    static WORLD: Mutex<Weak<World>> = Mutex::new(Weak::new());
    let mut shared = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(world) = shared.upgrade() {
        return world;
    }
    let world = Arc::new(World::start());
    *shared = Arc::downgrade(&world);
    world
}

impl World {
    pub fn start() -> Self {
        Self::start_with(|builder| builder)
    }

    /// With more settings.
    pub fn start_with(change: impl FnOnce(WeirBuilder) -> WeirBuilder) -> Self {
        let cluster = sales();
        let builder = WeirBuilder::new();
        let root = lake(builder.folder());
        let builder = builder
            .catalog("sales", &cluster.catalog())
            .catalog("lake", &format!("source = \"local\"\nroot = \"{}\"\n", root.display()))
            .policy(&fs::read_to_string(tests_folder("fixtures/policy.csv")).unwrap())
            .user(ADMIN)
            .user(ANALYST)
            .user(STRANGER);
        Self { weir: change(builder).start(), cluster }
    }
}

impl Cluster {
    /// A catalog file for the shop.
    pub fn catalog(&self) -> String {
        format!("source = \"postgres\"\nurl = \"postgres://owner@127.0.0.1:{}/shop\"\n", self.port)
    }
}

/// A PostgreSQL with the shop; shared by the tests that run now.
fn sales() -> Arc<Cluster> {
    let cluster = Cluster::start();
    cluster.load("postgres", &tests_folder("fixtures/shop.sql"));
    Arc::new(cluster)
}

/// Copies the files of `tests/fixtures/lake` to a folder that the test may change.
pub fn lake(folder: &Path) -> PathBuf {
    let root = folder.join("lake");
    copy(&tests_folder("fixtures/lake"), &root);
    root
}

/// Every file below a folder, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}
