use indicatif::{ProgressBar, ProgressStyle};

/// Shows on a terminal how far the data is; elsewhere it shows nothing.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        // The template is a constant; without it the bar has its plain style.
        if let Ok(style) = ProgressStyle::with_template("{msg:<12} [{bar:30}] {pos}/{len} rows") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// To be passed to [`write_retail`](super::data::write_retail).
    pub fn report(&self, table: &str, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(table.to_owned());
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
