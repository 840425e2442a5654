//! Where a cursor stands, and by which steps it gets to where FETCH and MOVE send it.
//!
//! The steps are PostgreSQL's, because their edges can be seen: before the first row and behind the
//! last one are places too.

use crate::{
    engine::{Fetch, Motion},
    error::{Error, ErrorKind, Result},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of the row that it is on, or of the last one when it is behind that.
    pub row: u64,
    pub at_start: bool,
    pub at_end: bool,
}

impl Default for Position {
    fn default() -> Self {
        Self { row: 0, at_start: true, at_end: false }
    }
}

/// A part of the way; its count of `None` is as far as there are rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    ToStart,
    Forward {
        count: Option<u64>,
        shows: bool,
    },
    Backward {
        count: Option<u64>,
        shows: bool,
    },
    /// Nothing more to do; so many rows were passed.
    Passed(u64),
}

impl Position {
    /// Notes that `found` rows of the `asked` were passed.
    pub fn went_forward(&mut self, asked: Option<u64>, found: u64) {
        if self.at_end || asked == Some(0) {
            return;
        }
        if found > 0 {
            self.at_start = false;
        }
        if asked.is_none_or(|asked| found < asked) {
            self.at_end = true;
        }
        self.row += found;
    }

    pub fn went_backward(&mut self, asked: Option<u64>, found: u64) {
        if self.at_start || asked == Some(0) {
            return;
        }
        if found > 0 && self.at_end {
            self.at_end = false;
            self.row += 1;
        }
        if asked.is_none_or(|asked| found < asked) {
            self.at_start = true;
            self.row = 0;
        } else {
            self.row -= found;
        }
    }

    /// How many rows are before this place.
    pub fn rows_before(&self) -> u64 {
        if self.at_end { self.row } else { self.row.saturating_sub(1) }
    }

    fn is_on_row(&self) -> bool {
        !self.at_start && !self.at_end
    }

    /// The way of a FETCH or MOVE. A cursor that can't scroll refuses to go back (55000).
    pub fn way(&self, fetch: &Fetch, can_scroll: bool) -> Result<Vec<Step>> {
        let steps = self.steps(fetch);
        let goes_back = steps.iter().any(|step| match step {
            Step::Backward { .. } => true,
            Step::ToStart => !self.at_start || self.at_end,
            Step::Forward { .. } | Step::Passed(_) => false,
        });
        if goes_back && !can_scroll {
            return Err(Error::new(ErrorKind::NotReady, "cursor can only scan forward")
                .with_hint("Declare it with SCROLL option to enable backward scan."));
        }
        Ok(steps)
    }

    fn steps(&self, fetch: &Fetch) -> Vec<Step> {
        let shows = !fetch.is_move;
        let pass = |count: u64| Step::Forward { count: Some(count), shows: false };
        let pass_back = |count: u64| Step::Backward { count: Some(count), shows: false };
        let next = Step::Forward { count: Some(1), shows };
        let prior = Step::Backward { count: Some(1), shows };
        match fetch.motion {
            Motion::Absolute(0) => {
                vec![Step::ToStart, Step::Forward { count: Some(0), shows }]
            }
            Motion::Absolute(number) if number > 0 => {
                let number = number.unsigned_abs();
                // From the start, when that is nearer.
                if number - 1 <= self.row / 2 {
                    return vec![Step::ToStart, pass(number - 1), next];
                }
                let row = self.row + u64::from(self.at_end);
                if number <= row {
                    vec![pass_back(row - number + 1), next]
                } else {
                    vec![pass(number - row - 1), next]
                }
            }
            Motion::Absolute(number) => {
                let to_end = Step::Forward { count: None, shows: false };
                let back = number.unsigned_abs() - 1;
                if back == 0 { vec![to_end, prior] } else { vec![to_end, pass_back(back), prior] }
            }
            Motion::Relative(0) => self.straight(Some(0), true, shows),
            Motion::Relative(number) => {
                let others = number.unsigned_abs() - 1;
                match (number > 0, others) {
                    (true, 0) => vec![next],
                    (true, others) => vec![pass(others), next],
                    (false, 0) => vec![prior],
                    (false, others) => vec![pass_back(others), prior],
                }
            }
            Motion::Forward(count) => self.straight(count, true, shows),
            Motion::Backward(count) => self.straight(count, false, shows),
        }
    }

    fn straight(&self, count: Option<i64>, forward: bool, shows: bool) -> Vec<Step> {
        let forward = forward != count.is_some_and(|count| count < 0);
        let count = count.map(i64::unsigned_abs);
        match (count, forward) {
            // The row where it is, again.
            (Some(0), _) if !shows => vec![Step::Passed(u64::from(self.is_on_row()))],
            (Some(0), _) if self.is_on_row() => vec![
                Step::Backward { count: Some(1), shows: false },
                Step::Forward { count: Some(1), shows },
            ],
            (Some(0), _) => vec![Step::Forward { count, shows }],
            (None, false) if !shows => vec![Step::ToStart, Step::Passed(self.rows_before())],
            (count, true) => vec![Step::Forward { count, shows }],
            (count, false) => vec![Step::Backward { count, shows }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks over a result of `rows` rows; what each FETCH shows, as PostgreSQL 15 does.
    fn walk(rows: u64, way: &[(Motion, &str)]) {
        let mut position = Position::default();
        for (motion, expected) in way {
            let fetch = Fetch { cursor: String::new(), motion: *motion, is_move: false };
            let mut shown = Vec::new();
            for step in position.way(&fetch, true).unwrap() {
                match step {
                    Step::ToStart => position = Position::default(),
                    Step::Passed(_) => {}
                    Step::Forward { count, shows } => {
                        let from = if position.at_end { rows } else { position.row };
                        let found = count.unwrap_or(u64::MAX).min(rows - from);
                        shown
                            .extend((shows).then(|| from + 1..=from + found).into_iter().flatten());
                        position.went_forward(count, found);
                    }
                    Step::Backward { count, shows } => {
                        let from = if position.at_start { 0 } else { position.rows_before() };
                        let found = count.unwrap_or(u64::MAX).min(from);
                        let passed = (from - found + 1..=from).rev();
                        shown.extend(shows.then_some(passed).into_iter().flatten());
                        position.went_backward(count, found);
                    }
                }
            }
            let shown: Vec<_> = shown.iter().map(u64::to_string).collect();
            assert_eq!(shown.join(" "), *expected, "{motion:?} of {way:?}");
        }
    }

    #[test]
    fn cursors_walk_as_in_postgresql() {
        use Motion::{Absolute, Backward, Forward, Relative};
        walk(
            5,
            &[
                (Backward(Some(1)), ""),
                (Forward(Some(2)), "1 2"),
                (Forward(Some(0)), "2"),
                (Relative(0), "2"),
                (Relative(2), "4"),
                (Backward(Some(2)), "3 2"),
                (Forward(Some(-1)), "1"),
                (Forward(Some(-1)), ""),
                (Forward(None), "1 2 3 4 5"),
                (Forward(Some(1)), ""),
                (Forward(Some(0)), ""),
                (Backward(Some(1)), "5"),
                (Absolute(3), "3"),
                (Absolute(1), "1"),
                (Absolute(4), "4"),
                (Absolute(-1), "5"),
                (Absolute(-2), "4"),
                (Absolute(9), ""),
                (Absolute(5), "5"),
                (Absolute(0), ""),
                (Forward(Some(1)), "1"),
                (Relative(-1), ""),
                (Absolute(-9), ""),
                (Forward(Some(1)), "1"),
                (Forward(None), "2 3 4 5"),
                (Backward(None), "5 4 3 2 1"),
                (Relative(3), "3"),
                (Relative(-2), "1"),
            ],
        );
        walk(0, &[(Forward(Some(1)), ""), (Backward(None), ""), (Absolute(-1), "")]);
    }

    #[test]
    fn only_a_cursor_that_scrolls_goes_back() {
        use Motion::{Absolute, Backward, Forward, Relative};
        let start = Position::default();
        let on_third = Position { row: 3, at_start: false, at_end: false };
        for (position, motion, is_allowed) in [
            (start, Forward(None), true),
            (start, Absolute(1), true),
            (start, Absolute(0), true),
            (start, Backward(Some(1)), false),
            (start, Forward(Some(0)), true),
            (on_third, Forward(Some(2)), true),
            (on_third, Absolute(9), true),
            (on_third, Relative(2), true),
            (on_third, Absolute(1), false),
            (on_third, Absolute(-1), false),
            (on_third, Forward(Some(0)), false),
            (on_third, Relative(-1), false),
        ] {
            for is_move in [false, true] {
                let fetch = Fetch { cursor: String::new(), motion, is_move };
                let way = position.way(&fetch, false);
                // MOVE 0 only says whether there is a row.
                let is_free = is_move && motion == Forward(Some(0));
                assert_eq!(way.is_ok(), is_allowed || is_free, "{position:?} {fetch:?}");
            }
        }
    }
}
