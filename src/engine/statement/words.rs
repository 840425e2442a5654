//! Reads a statement word by word: commands whose grammar the parser has no tree for.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, ErrorKind, Result};

/// A place in a statement's tokens; white space and comments are passed over.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    rest: &'a [TokenWithSpan],
}

impl<'a> Words<'a> {
    pub fn new(tokens: &'a [TokenWithSpan]) -> Self {
        Self { rest: tokens }
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.rest.iter().map(|token| &token.token).find(|token| is_word(token))
    }

    pub fn next(&mut self) -> Option<&'a Token> {
        let at = self.rest.iter().position(|token| is_word(&token.token))?;
        let token = &self.rest[at].token;
        self.rest = &self.rest[at + 1..];
        Some(token)
    }

    /// The next word in capitals; empty when it is quoted, or no word.
    pub fn keyword(&self) -> String {
        match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_uppercase(),
            _ => String::new(),
        }
    }

    /// Passes the keywords if they all come next, in this order.
    pub fn take(&mut self, keywords: &str) -> bool {
        let mut ahead = self.clone();
        for keyword in keywords.split(' ') {
            if ahead.keyword() != keyword {
                return false;
            }
            ahead.next();
        }
        *self = ahead;
        true
    }

    /// Passes the first of these keywords that comes next.
    pub fn take_any<'k>(&mut self, keywords: &[&'k str]) -> Option<&'k str> {
        keywords.iter().find(|keywords| self.take(keywords)).copied()
    }

    pub fn take_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.next();
        }
        found
    }

    pub fn expect(&mut self, keywords: &str) -> Result<()> {
        if self.take(keywords) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.take_token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// A name, as PostgreSQL folds it.
    pub fn name(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.next();
                Ok(match word.quote_style {
                    Some(_) => word.value.clone(),
                    None => word.value.to_lowercase(),
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A text in single quotes, if one comes next.
    pub fn text(&mut self) -> Option<&'a str> {
        match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => {
                self.next();
                Some(text)
            }
            _ => None,
        }
    }

    /// A whole number with its sign, if one comes next.
    pub fn integer(&mut self) -> Result<Option<i64>> {
        let mut ahead = self.clone();
        let sign = match ahead.peek() {
            Some(Token::Minus) => "-",
            Some(Token::Plus) => "+",
            _ => "",
        };
        if !sign.is_empty() {
            ahead.next();
        }
        let Some(Token::Number(digits, _)) = ahead.next() else { return Ok(None) };
        let number = format!("{sign}{digits}").parse::<i32>().map_err(|_| self.unexpected())?;
        *self = ahead;
        Ok(Some(number.into()))
    }

    /// Everything that has not been read.
    pub fn rest(&self) -> &'a [TokenWithSpan] {
        self.rest
    }

    pub fn is_at_end(&self) -> bool {
        self.peek().is_none()
    }

    pub fn end(&self) -> Result<()> {
        if self.is_at_end() { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn unexpected(&self) -> Error {
        let message = match self.peek() {
            Some(token) => format!("syntax error at or near \"{token}\""),
            None => "syntax error at end of input".to_owned(),
        };
        Error::new(ErrorKind::Syntax, message)
    }
}

fn is_word(token: &Token) -> bool {
    !matches!(token, Token::Whitespace(_) | Token::EOF)
}
