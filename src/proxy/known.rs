use std::{collections::BTreeSet, sync::Arc};

use weir_catalogs::Catalog;

use crate::{
    auth::UserStore,
    policy::{Known, KnownTable, ObjectPath},
};

/// What the lines of a policy are held against. Users that can't be read are not known.
pub fn known<'a>(
    catalogs: impl IntoIterator<Item = &'a Catalog>,
    users: Option<&UserStore>,
) -> Known {
    let mut names = BTreeSet::new();
    let mut tables = Vec::new();
    for catalog in catalogs {
        names.insert(catalog.name().to_string());
        let snapshot = catalog.snapshot();
        tables.extend(snapshot.tables().map(|definition| KnownTable {
            path: ObjectPath {
                catalog: catalog.name().as_str().into(),
                schema: definition.schema.as_str().into(),
                table: definition.name.as_str().into(),
            },
            columns: Arc::clone(&definition.columns),
        }));
    }
    let users = users.and_then(|users| users.list().ok());
    let users = users.map(|users| users.iter().map(|user| user.principal()).collect());
    Known { users, catalogs: Some(names), tables }
}
