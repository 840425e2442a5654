//! Regular expressions of PostgreSQL in the words of the engine's.
//!
//! Both know most forms alike. What means something else is translated, what the engine does not
//! have is refused. PostgreSQL finds the longest match and the engine the first: where a match itself
//! is asked for, patterns for which they differ are refused too.

use datafusion::common::{Result, exec_err, not_impl_err};

/// What a pattern is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Whether there is a match.
    Test,
    /// What matches.
    Find,
}

/// Translates an advanced regular expression.
pub fn translate(pattern: &str, purpose: Purpose) -> Result<String> {
    let mut reader = Reader::default();
    // A dot matches a line's end in PostgreSQL.
    let mut written = String::from("(?s)");
    let body = match pattern.strip_prefix("***") {
        Some(rest) => match rest.strip_prefix('=') {
            Some(literal) => return Ok(escaped(literal)),
            None => rest.strip_prefix(':').unwrap_or(rest),
        },
        None => pattern,
    };
    reader.read(body, &mut written)?;
    if purpose == Purpose::Find && reader.may_be_shorter() {
        return not_impl_err!("a regular expression with alternatives is not supported here");
    }
    Ok(written)
}

fn escaped(literal: &str) -> String {
    let mut written = String::new();
    for character in literal.chars() {
        if !character.is_alphanumeric() && character.is_ascii() {
            written.push('\\');
        }
        written.push(character);
    }
    written
}

#[derive(Default)]
struct Reader {
    has_alternative: bool,
    has_repeated_group: bool,
    has_lazy: bool,
    quantifiers: usize,
}

impl Reader {
    /// Whether the first match may be another than the longest.
    fn may_be_shorter(&self) -> bool {
        self.has_alternative || self.has_repeated_group || (self.has_lazy && self.quantifiers > 1)
    }

    fn read(&mut self, pattern: &str, written: &mut String) -> Result<()> {
        let mut rest = pattern.chars().peekable();
        let mut depth = 0usize;
        let mut was_group = false;
        let mut may_repeat = false;
        while let Some(character) = rest.next() {
            let is_group_end = character == ')' && depth > 0;
            match character {
                '\\' => {
                    let Some(next) = rest.next() else {
                        return exec_err!("invalid regular expression");
                    };
                    self.escape(next, written)?;
                    may_repeat = true;
                }
                '(' => {
                    if rest.peek() == Some(&'?') {
                        rest.next();
                        match rest.next() {
                            Some(':') => written.push_str("(?:"),
                            _ => {
                                return not_impl_err!(
                                    "this form of a regular expression is not supported"
                                );
                            }
                        }
                    } else {
                        written.push('(');
                    }
                    depth += 1;
                    may_repeat = false;
                }
                ')' if depth == 0 => written.push_str("\\)"),
                ')' => {
                    depth -= 1;
                    written.push(')');
                    may_repeat = true;
                }
                '[' => {
                    self.bracket(&mut rest, written)?;
                    may_repeat = true;
                }
                '|' => {
                    self.has_alternative = true;
                    written.push('|');
                    may_repeat = false;
                }
                '*' | '+' | '?' | '{' => {
                    let is_bound = rest.peek().is_some_and(char::is_ascii_digit);
                    if character == '{' && !is_bound {
                        written.push_str("\\{");
                        may_repeat = true;
                        was_group = false;
                        continue;
                    }
                    if !may_repeat {
                        return exec_err!("invalid regular expression: quantifier operand invalid");
                    }
                    written.push(character);
                    if character == '{' {
                        for next in rest.by_ref() {
                            written.push(next);
                            if next == '}' {
                                break;
                            }
                        }
                    }
                    self.quantifiers += 1;
                    self.has_repeated_group |= was_group;
                    if rest.next_if_eq(&'?').is_some() {
                        self.has_lazy = true;
                        written.push('?');
                    }
                    may_repeat = false;
                }
                '^' | '$' => {
                    written.push(character);
                    may_repeat = false;
                }
                // Blanks, `#` and `~` mean nothing without flags, in either dialect.
                other => {
                    written.push(other);
                    may_repeat = true;
                }
            }
            was_group = is_group_end;
        }
        if depth > 0 {
            return exec_err!("invalid regular expression: parentheses () not balanced");
        }
        Ok(())
    }

    fn escape(&mut self, character: char, written: &mut String) -> Result<()> {
        match character {
            'm' | '<' => written.push_str("\\b{start}"),
            'M' | '>' => written.push_str("\\b{end}"),
            'y' => written.push_str("\\b"),
            'Y' => written.push_str("\\B"),
            'A' => written.push_str("\\A"),
            'Z' => written.push_str("\\z"),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' | 't' | 'n' | 'r' | 'f' | 'v' => {
                written.push('\\');
                written.push(character);
            }
            'a' => written.push_str("\\x07"),
            'e' => written.push_str("\\x1B"),
            'b' => written.push_str("\\x08"),
            'B' => written.push_str("\\\\"),
            other if other.is_ascii_alphanumeric() => {
                return not_impl_err!("\\{other} in a regular expression is not supported");
            }
            other => {
                written.push('\\');
                written.push(other);
            }
        }
        Ok(())
    }

    fn bracket(
        &mut self,
        rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
        written: &mut String,
    ) -> Result<()> {
        written.push('[');
        if rest.next_if_eq(&'^').is_some() {
            written.push('^');
        }
        let mut is_first = true;
        while let Some(character) = rest.next() {
            match character {
                ']' if !is_first => {
                    written.push(']');
                    return Ok(());
                }
                '[' if matches!(rest.peek(), Some(':' | '.' | '=')) => {
                    if rest.next() != Some(':') {
                        return not_impl_err!("collating elements are not supported");
                    }
                    let mut name = String::new();
                    for next in rest.by_ref() {
                        if next == ':' {
                            break;
                        }
                        name.push(next);
                    }
                    if rest.next() != Some(']') {
                        return exec_err!("invalid regular expression");
                    }
                    // Letters of all languages, where the engine's classes are those of ASCII.
                    written.push_str(match name.as_str() {
                        "alpha" => "\\p{Alphabetic}",
                        "alnum" => "\\p{Alphabetic}\\p{Nd}",
                        "upper" => "\\p{Uppercase}",
                        "lower" => "\\p{Lowercase}",
                        "digit" => "0-9",
                        "xdigit" => "0-9A-Fa-f",
                        "space" => "\\s",
                        "blank" => " \\t",
                        _ => return not_impl_err!("[:{name}:] is not supported"),
                    });
                }
                '\\' => {
                    let Some(next) = rest.next() else {
                        return exec_err!("invalid regular expression");
                    };
                    match next {
                        'd' | 's' | 'w' | 't' | 'n' | 'r' | 'f' | 'v' => {
                            written.push('\\');
                            written.push(next);
                        }
                        other if other.is_ascii_alphanumeric() => {
                            return not_impl_err!("\\{other} in brackets is not supported");
                        }
                        other => {
                            written.push('\\');
                            written.push(other);
                        }
                    }
                }
                // Operators of sets in the engine.
                '[' | ']' | '&' | '~' | '^' => {
                    written.push('\\');
                    written.push(character);
                }
                '-' if is_first || rest.peek() == Some(&']') => written.push_str("\\-"),
                other => written.push(other),
            }
            is_first = false;
        }
        exec_err!("invalid regular expression: brackets [] not balanced")
    }
}

/// Turns a pattern of SIMILAR TO into a regular expression of the engine.
pub fn similar(pattern: &str, escape: Option<char>) -> Option<String> {
    let mut written = String::from("(?s)^(?:");
    let mut rest = pattern.chars();
    let mut is_in_brackets = false;
    while let Some(character) = rest.next() {
        if Some(character) == escape {
            let next = rest.next()?;
            // Two of them around a part mark it; that is substring's.
            if next == '"' {
                return None;
            }
            written.push_str(&escaped(&next.to_string()));
            continue;
        }
        match character {
            other if is_in_brackets => {
                is_in_brackets = other != ']';
                match other {
                    '\\' | '&' | '~' => {
                        written.push('\\');
                        written.push(other);
                    }
                    '[' => return None,
                    other => written.push(other),
                }
            }
            '%' => written.push_str(".*"),
            '_' => written.push('.'),
            '[' => {
                is_in_brackets = true;
                written.push('[');
            }
            '(' => written.push_str("(?:"),
            ')' | '|' | '*' | '+' | '?' | '{' | '}' => written.push(character),
            '.' | '^' | '$' | '\\' => {
                written.push('\\');
                written.push(character);
            }
            other => written.push(other),
        }
    }
    written.push_str(")$");
    if is_in_brackets { None } else { Some(written) }
}

#[cfg(test)]
mod tests {
    use super::{Purpose, similar, translate};

    #[test]
    fn patterns_are_translated_or_refused() {
        let cases: &[(&str, Purpose, Option<&str>)] = &[
            ("a.b", Purpose::Test, Some("(?s)a.b")),
            ("\\mbar\\M", Purpose::Test, Some("(?s)\\b{start}bar\\b{end}")),
            ("[[:alpha:]_]+", Purpose::Test, Some("(?s)[\\p{Alphabetic}_]+")),
            ("[]a-]", Purpose::Test, Some("(?s)[\\]a\\-]")),
            ("a{2,}", Purpose::Test, Some("(?s)a{2,}")),
            ("a{", Purpose::Test, Some("(?s)a\\{")),
            ("(a)\\1", Purpose::Test, None),
            ("a(?=b)", Purpose::Test, None),
            ("(", Purpose::Test, None),
            ("*a", Purpose::Test, None),
            ("a|ab", Purpose::Test, Some("(?s)a|ab")),
            ("a|ab", Purpose::Find, None),
            ("a*(ab)*", Purpose::Find, None),
            ("o(.)b", Purpose::Find, Some("(?s)o(.)b")),
        ];
        for (pattern, purpose, expected) in cases {
            assert_eq!(translate(pattern, *purpose).ok().as_deref(), *expected, "{pattern}");
        }
        assert_eq!(similar("row%", None).as_deref(), Some("(?s)^(?:row.*)$"));
        assert_eq!(similar("a#_c", Some('#')).as_deref(), Some("(?s)^(?:a\\_c)$"));
    }
}
