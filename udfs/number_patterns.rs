//! The patterns of to_char over numbers: `NUM_processor` of `formatting.c`.

use datafusion::{common::exec_err, common::not_impl_err, error::Result};

use crate::{
    patterns::ordinal_suffix,
    rows::{Answer, Row, Value},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Comma,
    Group,
    Point,
    Zero,
    Nine,
    Exponent,
    Fill,
    Currency,
    Minus,
    Plus,
    Sign,
    SignedBy,
    Brackets,
    Roman { lower: bool },
    Ordinal { lower: bool },
    Shift,
    Nothing,
}

#[rustfmt::skip]
const WORDS: &[(&str, Word)] = &[
    (",", Word::Comma), (".", Word::Point), ("0", Word::Zero), ("9", Word::Nine), ("B", Word::Nothing),
    ("C", Word::Nothing), ("D", Word::Point), ("EEEE", Word::Exponent), ("FM", Word::Fill), ("G", Word::Group),
    ("L", Word::Currency), ("MI", Word::Minus), ("PL", Word::Plus), ("PR", Word::Brackets),
    ("RN", Word::Roman { lower: false }), ("rn", Word::Roman { lower: true }), ("SG", Word::Sign),
    ("SP", Word::Nothing), ("S", Word::SignedBy), ("TH", Word::Ordinal { lower: false }),
    ("th", Word::Ordinal { lower: true }), ("V", Word::Shift),
    ("b", Word::Nothing), ("c", Word::Nothing), ("d", Word::Point), ("eeee", Word::Exponent), ("fm", Word::Fill),
    ("g", Word::Group), ("l", Word::Currency), ("mi", Word::Minus), ("pl", Word::Plus), ("pr", Word::Brackets),
    ("sg", Word::Sign), ("sp", Word::Nothing), ("s", Word::SignedBy), ("v", Word::Shift),
];

#[derive(Debug, Clone, Copy)]
enum Node {
    Word(Word),
    Character(char),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignPlace {
    None,
    Before,
    After,
}

/// A pattern, and what it asks for.
struct Pattern {
    nodes: Vec<Node>,
    before: usize,
    after: usize,
    /// Digits that V shifts by.
    shift: usize,
    sign: SignPlace,
    digits_before_sign: usize,
    /// Where zeros begin, counted from one; 0: nowhere.
    zero_start: usize,
    zero_end: usize,
    has_point: bool,
    is_filled: bool,
    has_brackets: bool,
    has_minus: bool,
    has_plus: bool,
    is_roman: bool,
    is_scientific: bool,
    has_shift: bool,
}

fn refused<T>(pattern: &str) -> Result<T> {
    exec_err!("invalid input syntax for a number format: \"{pattern}\"")
}

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        let mut pattern = Self {
            nodes: Vec::new(),
            before: 0,
            after: 0,
            shift: 0,
            sign: SignPlace::None,
            digits_before_sign: 0,
            zero_start: 0,
            zero_end: 0,
            has_point: false,
            is_filled: false,
            has_brackets: false,
            has_minus: false,
            has_plus: false,
            is_roman: false,
            is_scientific: false,
            has_shift: false,
        };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let found = WORDS
                .iter()
                .filter(|(word, _)| rest.starts_with(word))
                .max_by_key(|(word, _)| word.len());
            if let Some((name, word)) = found {
                rest = rest.get(name.len()..).unwrap_or_default();
                pattern.add(*word, text)?;
                pattern.nodes.push(Node::Word(*word));
                continue;
            }
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            if first == '"' {
                while let Some(character) = rest.chars().next() {
                    rest = rest.get(character.len_utf8()..).unwrap_or_default();
                    match (character, rest.chars().next()) {
                        ('"', _) => break,
                        ('\\', Some(next)) => {
                            rest = rest.get(next.len_utf8()..).unwrap_or_default();
                            pattern.nodes.push(Node::Character(next));
                        }
                        _ => pattern.nodes.push(Node::Character(character)),
                    }
                }
            } else if first == '\\' && rest.starts_with('"') {
                rest = rest.get(1..).unwrap_or_default();
                pattern.nodes.push(Node::Character('"'));
            } else {
                pattern.nodes.push(Node::Character(first));
            }
        }
        Ok(pattern)
    }

    fn add(&mut self, word: Word, text: &str) -> Result<()> {
        if self.is_scientific && word != Word::Exponent {
            return refused(text);
        }
        match word {
            Word::Nine if self.has_brackets => return refused(text),
            Word::Nine if self.has_shift => self.shift += 1,
            Word::Nine if self.has_point => self.after += 1,
            Word::Nine => self.before += 1,
            Word::Zero if self.has_brackets => return refused(text),
            Word::Zero => {
                if self.zero_start == 0 && !self.has_point {
                    self.zero_start = self.before + 1;
                }
                if self.has_point {
                    self.after += 1
                } else {
                    self.before += 1
                }
                self.zero_end = self.before + self.after;
            }
            Word::Point if self.has_point || self.has_shift => return refused(text),
            Word::Point => self.has_point = true,
            Word::Fill => self.is_filled = true,
            Word::SignedBy => {
                if self.sign != SignPlace::None
                    || self.has_plus
                    || self.has_minus
                    || self.has_brackets
                {
                    return refused(text);
                }
                match self.has_point {
                    false => {
                        self.sign = SignPlace::Before;
                        self.digits_before_sign = self.before;
                    }
                    true => self.sign = SignPlace::After,
                }
            }
            Word::Minus | Word::Plus | Word::Sign if self.sign != SignPlace::None => {
                return refused(text);
            }
            Word::Minus => self.has_minus = true,
            Word::Plus => self.has_plus = true,
            Word::Sign => (self.has_minus, self.has_plus) = (true, true),
            Word::Brackets if self.sign != SignPlace::None || self.has_plus || self.has_minus => {
                return refused(text);
            }
            Word::Brackets => self.has_brackets = true,
            Word::Roman { .. } => self.is_roman = true,
            Word::Shift if self.has_point => return refused(text),
            Word::Shift => self.has_shift = true,
            Word::Exponent => {
                if self.has_brackets
                    || self.has_minus
                    || self.has_plus
                    || self.is_roman
                    || self.has_shift
                {
                    return refused(text);
                }
                self.is_scientific = true;
            }
            Word::Comma | Word::Group | Word::Currency | Word::Ordinal { .. } | Word::Nothing => {}
        }
        Ok(())
    }
}

pub fn write_integer(row: &mut Row<'_>) -> Result<Answer> {
    let value = i128::from(row.int(0)?);
    write_decimal(row, value, 0)
}

pub fn write_numeric(row: &mut Row<'_>) -> Result<Answer> {
    let (value, scale) = row.decimal(0)?;
    write_decimal(row, value, scale)
}

fn format_of<'a>(row: &Row<'a>) -> Option<&'a str> {
    match row.values.get(1) {
        Some(Value::Text(pattern)) if !pattern.is_empty() => Some(pattern),
        _ => None,
    }
}

fn write_decimal(row: &mut Row<'_>, value: i128, scale: i8) -> Result<Answer> {
    let Some(text) = format_of(row) else { return Ok(Answer::Null) };
    let pattern = Pattern::parse(text)?;
    if pattern.is_roman {
        return write_roman(row, &pattern, rounded(value, scale, 0));
    }
    if pattern.is_scientific {
        let written = scientific(value, scale, pattern.after);
        let space = if written.starts_with('-') { "" } else { " " };
        return row.write_with(format_args!("{space}{written}"));
    }
    let shift = i8::try_from(pattern.shift).unwrap_or(i8::MAX);
    let after = if pattern.has_shift { 0 } else { pattern.after };
    let Ok(after_scale) = i8::try_from(after) else { return refused(text) };
    // V multiplies: the point moves to the right.
    let digits = rounded(value, scale.saturating_sub(shift), after_scale);
    let number = plain(digits.unsigned_abs(), after);
    let out = Processor::run(pattern, &number, digits < 0);
    row.write(&out)
}

pub fn write_float(row: &mut Row<'_>) -> Result<Answer> {
    const DIGITS: usize = 15;
    let Some(text) = format_of(row) else { return Ok(Answer::Null) };
    let pattern = Pattern::parse(text)?;
    let value = row.float(0)?;
    if pattern.is_roman || pattern.is_scientific || !value.is_finite() {
        return not_impl_err!("this pattern is not supported for double precision");
    }
    let value = value * 10f64.powi(i32::try_from(pattern.shift).unwrap_or(0));
    let whole = format!("{:.0}", value.abs()).len();
    let after = match whole + pattern.after {
        _ if whole >= DIGITS => 0,
        all if all > DIGITS => DIGITS - whole,
        _ => pattern.after,
    };
    let number = format!("{:.after$}", value.abs());
    let out = Processor::run(pattern, &number, format!("{value:.after$}").starts_with('-'));
    row.write(&out)
}

/// The digits at another scale, ties away from zero.
fn rounded(value: i128, scale: i8, wanted: i8) -> i128 {
    let power = |count: i8| 10i128.checked_pow(u32::from(count.unsigned_abs()));
    match i16::from(scale) - i16::from(wanted) {
        0 => value,
        more @ 1.. => match i8::try_from(more).ok().and_then(power) {
            Some(divisor) => {
                let half = if value < 0 { -(divisor / 2) } else { divisor / 2 };
                value.saturating_add(half) / divisor
            }
            None => 0,
        },
        fewer => {
            let factor = i8::try_from(-fewer).ok().and_then(power);
            factor.and_then(|factor| value.checked_mul(factor)).unwrap_or(i128::MAX)
        }
    }
}

fn plain(digits: u128, after: usize) -> String {
    let mut text = digits.to_string();
    if after > 0 {
        if text.len() <= after {
            text = format!("{}{text}", "0".repeat(after + 1 - text.len()));
        }
        text.insert(text.len() - after, '.');
    }
    text
}

fn scientific(value: i128, scale: i8, after: usize) -> String {
    let digits = value.unsigned_abs().to_string();
    let sign = if value < 0 { "-" } else { "" };
    let mut exponent = i64::try_from(digits.len()).unwrap_or(0) - 1 - i64::from(scale);
    let (mut mantissa, keep) = (digits.clone(), after + 1);
    if value == 0 {
        exponent = 0;
    }
    if mantissa.len() > keep {
        let round_up = mantissa.as_bytes().get(keep).is_some_and(|digit| *digit >= b'5');
        mantissa.truncate(keep);
        if round_up {
            let raised = mantissa.parse::<u128>().unwrap_or(0) + 1;
            // PostgreSQL leaves a ten where a nine was rounded up.
            mantissa = raised.to_string();
        }
    } else {
        mantissa.push_str(&"0".repeat(keep - mantissa.len()));
    }
    if after > 0 {
        mantissa.insert(mantissa.len() - after, '.');
    }
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}e{direction}{:02}", exponent.abs())
}

fn write_roman(row: &mut Row<'_>, pattern: &Pattern, value: i128) -> Result<Answer> {
    const PARTS: &[(i128, &str)] = &[
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let roman = match value {
        1..=3999 => {
            let (mut left, mut roman) = (value, String::new());
            for (part, letters) in PARTS {
                while left >= *part {
                    roman.push_str(letters);
                    left -= part;
                }
            }
            roman
        }
        _ => "#".repeat(15),
    };
    let mut out = String::new();
    for node in &pattern.nodes {
        match node {
            Node::Word(Word::Roman { lower }) => {
                let roman = if *lower { roman.to_lowercase() } else { roman.clone() };
                match pattern.is_filled {
                    true => out.push_str(&roman),
                    false => out.push_str(&format!("{roman:>15}")),
                }
            }
            Node::Word(_) => {}
            Node::Character(character) => out.push(*character),
        }
    }
    row.write(&out)
}

struct Processor {
    pattern: Pattern,
    number: Vec<char>,
    /// The next character of the number.
    at: usize,
    current: usize,
    blanks: usize,
    count: usize,
    zero_start: usize,
    /// The last digit behind the point that is shown, with FM.
    last_relevant: Option<usize>,
    is_negative: bool,
    is_sign_written: bool,
    is_inside: bool,
    out: String,
}

impl Processor {
    fn run(mut pattern: Pattern, number: &str, is_negative: bool) -> String {
        pattern.before += pattern.shift;
        let whole = number.split('.').next().unwrap_or_default().len();
        let mut number = number.to_owned();
        if whole > pattern.before {
            number = "#".repeat(pattern.before);
            if pattern.after > 0 || pattern.has_point {
                number.push('.');
                number.push_str(&"#".repeat(pattern.after));
            }
        }
        let blanks = pattern.before.saturating_sub(whole);
        let number: Vec<char> = number.chars().collect();
        let is_signed_apart = pattern.has_plus || pattern.has_minus;
        let is_sign_written = match is_signed_apart {
            true => !pattern.has_plus || pattern.has_minus,
            false => {
                if !is_negative && pattern.is_filled {
                    pattern.has_brackets = false;
                }
                !is_negative && pattern.is_filled && pattern.sign == SignPlace::None
            }
        };
        if !is_signed_apart
            && pattern.sign == SignPlace::Before
            && pattern.before == pattern.digits_before_sign
        {
            pattern.sign = SignPlace::After;
        }
        let mut count = (pattern.after + pattern.before).saturating_sub(1);
        let mut last_relevant = None;
        if pattern.is_filled && pattern.has_point {
            last_relevant = number.iter().position(|it| *it == '.').map(|point| {
                let last = number.iter().rposition(|it| *it != '0').unwrap_or(point);
                last.max(point)
            });
            if let Some(last) = last_relevant
                && pattern.zero_end > blanks
            {
                let zero = (number.len() - 1).min(pattern.zero_end - blanks);
                last_relevant = Some(last.max(zero));
            }
        }
        if !is_sign_written && blanks == 0 {
            count += 1;
        }
        let zero_start = pattern.zero_start.saturating_sub(1);
        let mut processor = Self {
            pattern,
            number,
            at: 0,
            current: 0,
            blanks,
            count,
            zero_start,
            last_relevant,
            is_negative,
            is_sign_written,
            is_inside: false,
            out: String::new(),
        };
        let nodes = std::mem::take(&mut processor.pattern.nodes);
        for node in nodes {
            match node {
                Node::Character(character) => processor.out.push(character),
                Node::Word(word) => processor.word(word),
            }
        }
        processor.out
    }

    fn word(&mut self, word: Word) {
        match word {
            Word::Nine | Word::Zero | Word::Point => self.digit(word),
            Word::Comma | Word::Group => match (self.is_inside, self.pattern.is_filled) {
                (true, _) => self.out.push(','),
                (false, true) => {}
                (false, false) => self.out.push(' '),
            },
            Word::Currency => self.out.push(' '),
            Word::Ordinal { lower } => {
                if self.is_negative || self.pattern.has_point || self.number.first() == Some(&'#') {
                    return;
                }
                let digits: String = self.number.iter().collect();
                let suffix = ordinal_suffix(&digits);
                match lower {
                    true => self.out.push_str(suffix),
                    false => self.out.push_str(&suffix.to_ascii_uppercase()),
                }
            }
            Word::Minus => self.mark(self.is_negative, '-'),
            Word::Plus => self.mark(!self.is_negative, '+'),
            Word::Sign => self.out.push(if self.is_negative { '-' } else { '+' }),
            Word::Exponent
            | Word::Fill
            | Word::SignedBy
            | Word::Brackets
            | Word::Roman { .. }
            | Word::Shift
            | Word::Nothing => {}
        }
    }

    fn mark(&mut self, is_shown: bool, sign: char) {
        match (is_shown, self.pattern.is_filled) {
            (true, _) => self.out.push(sign),
            (false, true) => {}
            (false, false) => self.out.push(' '),
        }
    }

    fn has_zeros(&self) -> bool {
        self.pattern.zero_start > 0
    }

    /// `0.1` as ` .1`: the pattern has no place for the zero.
    fn hides_zero(&self) -> bool {
        !self.has_zeros()
            && self.at == 0
            && self.number.first() == Some(&'0')
            && self.pattern.after != 0
    }

    fn ends_at_point(&self) -> bool {
        self.last_relevant.is_some_and(|last| self.number.get(last) == Some(&'.'))
    }

    /// `NUM_numpart_to_char`.
    fn digit(&mut self, word: Word) {
        self.is_inside = false;
        let is_filled = self.pattern.is_filled;
        let reaches_number =
            self.current >= self.blanks || (self.has_zeros() && self.zero_start == self.current);
        if !self.is_sign_written && reaches_number && (!self.hides_zero() || self.ends_at_point()) {
            self.write_sign();
        }
        let begins_zeros = self.has_zeros() && self.zero_start <= self.current;
        if self.current < self.blanks && !begins_zeros {
            if !is_filled {
                self.out.push(' ');
            }
        } else if self.current < self.blanks {
            self.out.push('0');
            self.is_inside = true;
        } else {
            match self.number.get(self.at).copied() {
                Some('.') if self.ends_at_point() && !is_filled => {}
                Some('.') => self.out.push('.'),
                Some(character) => {
                    let is_cut = self.last_relevant.is_some_and(|last| self.at > last);
                    if is_cut && word != Word::Zero {
                        // A zero at the end, which FM leaves out.
                    } else if self.hides_zero() {
                        if !is_filled {
                            self.out.push(' ');
                        } else if self.ends_at_point() {
                            self.out.push('0');
                        }
                    } else {
                        self.out.push(character);
                        self.is_inside = true;
                    }
                }
                None => {}
            }
            if self.at < self.number.len() {
                self.at += 1;
            }
        }
        let mut end =
            self.count + usize::from(self.blanks > 0) + usize::from(self.pattern.has_point);
        if self.last_relevant == Some(self.at) {
            end = self.current;
        }
        if self.current + 1 == end {
            if self.is_sign_written && self.pattern.has_brackets {
                self.out.push(if self.is_negative { '>' } else { ' ' });
            } else if self.pattern.sign == SignPlace::After {
                self.out.push(if self.is_negative { '-' } else { '+' });
            }
        }
        self.current += 1;
    }

    fn write_sign(&mut self) {
        if self.pattern.sign != SignPlace::None {
            if self.pattern.sign == SignPlace::Before {
                self.out.push(if self.is_negative { '-' } else { '+' });
                self.is_sign_written = true;
            }
            return;
        }
        match (self.pattern.has_brackets, self.is_negative) {
            (true, true) => self.out.push('<'),
            (true, false) => self.out.push(' '),
            (false, true) => self.out.push('-'),
            (false, false) if self.pattern.is_filled => {}
            (false, false) => self.out.push(' '),
        }
        self.is_sign_written = true;
    }
}
