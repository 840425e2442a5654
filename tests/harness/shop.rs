//! The shop of `tests/pgclients/schema.sql`: a schema with everything that clients look at.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Cluster, User, Weir, WeirBuilder, tests_folder};

/// The same name as in PostgreSQL, so that what says who owns a table is the same text.
pub const OWNER: User =
    User { name: "weir", password: "pw-of-weir-5d1e", role: "admin", attributes: &[] };

const POLICY: &str = "p, role:admin, *, *, select, , allow\n\
                      p, role:admin, *, *, explain_remote, , allow\n\
                      p, role:admin, *, server, admin, , allow\n";

/// A PostgreSQL with the shop, and a weir before it: its one catalog has the database's name.
pub struct Shop {
    // Before the cluster, so that it ends first.
    pub weir: Weir,
    pub cluster: Cluster,
}

/// The shop is shared by the tests that run now, and ends with the last of them.
pub fn shop() -> Arc<Shop> {
    static SHOP: Mutex<Weak<Shop>> = Mutex::new(Weak::new());
    let mut shared = SHOP.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shop) = shared.upgrade() {
        return shop;
    }
    let cluster = Cluster::start();
    cluster.load("postgres", &tests_folder("pgclients/schema.sql"));
    let url = format!("postgres://{}@127.0.0.1:{}/shop", OWNER.name, cluster.port);
    let catalog = format!("source = \"postgres\"\nurl = \"{url}\"\n");
    let weir = WeirBuilder::new().catalog("shop", &catalog).policy(POLICY).user(OWNER).start();
    let shop = Arc::new(Shop { weir, cluster });
    *shared = Arc::downgrade(&shop);
    shop
}
