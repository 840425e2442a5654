//! What reading files has told, remembered for as long as the files stay as they are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

use chrono::Utc;
use futures::{StreamExt, stream};
use object_store::{ObjectMeta, ObjectStore, path::Path};

use super::{
    arrow_file::{self, ArrowFacts},
    catalog::FileOptions,
    layout::Format,
    parquet::{self, ParquetFacts},
    text::{self, TextFacts},
};
use crate::{Result, SourceErrorKind};

/// Files read side by side.
const CONCURRENT_INSPECTIONS: usize = 16;
/// File systems stamp times in ticks: a file that is written twice within one may look unchanged,
/// so one that is as young as this is read again next time.
const SETTLING_TIME: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) enum Facts {
    Arrow(ArrowFacts),
    Parquet(ParquetFacts),
    Text(TextFacts),
}

impl Facts {
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Arrow(facts) => facts.rows,
            Self::Parquet(facts) => facts.rows,
            Self::Text(facts) => facts.rows,
        }
    }
}

/// The facts of a file, or why there are none.
pub(super) type Inspected = Result<Arc<Facts>, String>;

#[derive(Debug, Default)]
pub(super) struct FactsCache {
    known: Mutex<HashMap<Path, Known>>,
    footer_bytes: Arc<AtomicUsize>,
}

#[derive(Debug, Clone)]
struct Known {
    file: ObjectMeta,
    inspected: Inspected,
    /// Holds as long as the file stays; false after an error that may pass.
    is_lasting: bool,
}

impl FactsCache {
    /// The facts of all these files. Only new and changed files are read; others are forgotten.
    pub(super) async fn inspect(
        &self,
        store: &Arc<dyn ObjectStore>,
        files: Vec<(ObjectMeta, Format)>,
        options: &FileOptions,
    ) -> HashMap<Path, Inspected> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let inspections = files.into_iter().map(|(file, format)| {
            let remembered = known.get(&file.location).filter(|known| {
                known.is_lasting
                    && known.file.e_tag == file.e_tag
                    && known.file.size == file.size
                    && known.file.last_modified == file.last_modified
            });
            let remembered = remembered.cloned();
            async move {
                match remembered {
                    Some(known) => known,
                    None => self.inspect_file(store, file, format, options).await,
                }
            }
        });
        let inspected: HashMap<Path, Known> = stream::iter(inspections)
            .buffer_unordered(CONCURRENT_INSPECTIONS)
            .map(|known| (known.file.location.clone(), known))
            .collect()
            .await;
        let facts = inspected
            .iter()
            .map(|(location, known)| (location.clone(), known.inspected.clone()))
            .collect();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = inspected;
        facts
    }

    async fn inspect_file(
        &self,
        store: &Arc<dyn ObjectStore>,
        file: ObjectMeta,
        format: Format,
        options: &FileOptions,
    ) -> Known {
        let age = Utc::now().signed_duration_since(file.last_modified);
        let is_settled = age.to_std().is_ok_and(|age| age > SETTLING_TIME);
        let inspected = match format {
            Format::Arrow => arrow_file::inspect(store, &file).await.map(Facts::Arrow),
            Format::Parquet => {
                parquet::inspect(store, &file, &self.footer_bytes).await.map(Facts::Parquet)
            }
            Format::Csv | Format::Ndjson => {
                text::inspect(store, &file, format, options).await.map(Facts::Text)
            }
        };
        match inspected {
            Ok(facts) => Known { file, inspected: Ok(Arc::new(facts)), is_lasting: is_settled },
            Err(error) => {
                tracing::warn!(file = %file.location, %error, "file can't be read");
                let is_lasting = is_settled && error.kind == SourceErrorKind::Rejected;
                Known { file, inspected: Err(error.message), is_lasting }
            }
        }
    }
}
