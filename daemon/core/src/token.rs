//! Bearer tokens: what an agent's key and a person's token look like.
//!
//! `vs_mcp_` or `vs_user_`, then 12 characters that name the credential, 43 that hold 256 random
//! bits, and 6 with the CRC-32 of all before them, in base62. The kind is there for people and
//! secret scanners; the checksum refuses a typing mistake before anything is looked up.

use std::fmt;

use zeroize::{Zeroize as _, Zeroizing};

/// Random bytes in a token's public id.
pub const TOKEN_ID_BYTES: usize = 8;
/// Random bytes in a token's secret.
pub const TOKEN_SECRET_BYTES: usize = 32;

const ID_DIGITS: usize = 12;
const SECRET_DIGITS: usize = 43;
const CRC_DIGITS: usize = 6;
const BODY_DIGITS: usize = ID_DIGITS + SECRET_DIGITS + CRC_DIGITS;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whose credential a token is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenKind {
    /// An agent installation's: an MCP key.
    Mcp,
    /// A person's.
    User,
}

/// A well-formed token; nothing is known yet of whether it is anybody's.
pub struct Token {
    kind: TokenKind,
    id: String,
    secret: Zeroizing<String>,
}

/// A text that is no token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// It has neither prefix.
    #[error("this is not a Vouchsafe credential")]
    Foreign,
    /// The checksum or the length is wrong.
    #[error("the credential is incomplete or mistyped")]
    Damaged,
}

impl TokenKind {
    /// What tokens of this kind begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Mcp => "vs_mcp_",
            Self::User => "vs_user_",
        }
    }
}

impl Token {
    /// The token of these random bytes.
    pub fn from_random(
        kind: TokenKind,
        id: [u8; TOKEN_ID_BYTES],
        mut secret: [u8; TOKEN_SECRET_BYTES],
    ) -> Self {
        let token = Self {
            kind,
            id: base62(&id, ID_DIGITS),
            secret: Zeroizing::new(base62(&secret, SECRET_DIGITS)),
        };
        secret.zeroize();
        token
    }

    /// Reads a token that somebody presented.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let (kind, body) = [TokenKind::Mcp, TokenKind::User]
            .into_iter()
            .find_map(|kind| text.strip_prefix(kind.prefix()).map(|body| (kind, body)))
            .ok_or(TokenError::Foreign)?;
        if body.len() != BODY_DIGITS || !body.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(TokenError::Damaged);
        }
        let (id, rest) = body.split_at(ID_DIGITS);
        let (secret, crc) = rest.split_at(SECRET_DIGITS);
        let token = Self { kind, id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) };
        if token.crc() == crc { Ok(token) } else { Err(TokenError::Damaged) }
    }

    /// Whose credential it claims to be.
    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The public part, under which the credential is looked up.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret part, to be compared by its keyed hash and in no other way.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The whole text, to be shown once to whom it belongs.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = self.head();
        text.push_str(&self.crc());
        text
    }

    fn head(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}{}", self.kind.prefix(), self.id, *self.secret))
    }

    fn crc(&self) -> String {
        base62(&crc32fast::hash(self.head().as_bytes()).to_be_bytes(), CRC_DIGITS)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}{}..)", self.kind.prefix(), self.id)
    }
}

/// The bytes as one big-endian number in `digits` base62 digits; they must be enough.
fn base62(bytes: &[u8], digits: usize) -> String {
    let mut number = Zeroizing::new(bytes.to_vec());
    let mut text = Zeroizing::new(Vec::with_capacity(digits));
    for _ in 0..digits {
        let mut remainder = 0_u16;
        for byte in number.iter_mut() {
            let value = remainder * 256 + u16::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or_default();
            remainder = value % 62;
        }
        text.push(ALPHABET.get(usize::from(remainder)).copied().unwrap_or(b'0'));
    }
    text.iter().rev().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_reads_back_as_it_is_written(id: [u8; 8], secret: [u8; 32]) {
            let token = Token::from_random(TokenKind::User, id, secret);
            let read = Token::parse(&token.expose()).unwrap();
            prop_assert_eq!(read.kind(), TokenKind::User);
            prop_assert_eq!(read.id(), token.id());
            prop_assert_eq!(read.secret(), token.secret());
        }

        #[test]
        fn one_wrong_character_is_noticed(secret: [u8; 32], at in 7_usize..68, by in 1_u8..62) {
            let text = Token::from_random(TokenKind::Mcp, [3; 8], secret).expose().to_string();
            let mut bytes = text.into_bytes();
            let old = ALPHABET.iter().position(|c| *c == bytes[at]).unwrap();
            bytes[at] = ALPHABET[(old + usize::from(by)) % 62];
            prop_assert_eq!(
                Token::parse(std::str::from_utf8(&bytes).unwrap()).err(),
                Some(TokenError::Damaged)
            );
        }
    }

    #[test]
    fn what_is_no_token_is_told_apart_from_what_is_mistyped() {
        assert_eq!(Token::parse("ghp_abc").err(), Some(TokenError::Foreign));
        assert_eq!(Token::parse("").err(), Some(TokenError::Foreign));
        assert_eq!(Token::parse("vs_mcp_short").err(), Some(TokenError::Damaged));
    }

    #[test]
    fn debug_shows_no_secret() {
        let token = Token::from_random(TokenKind::Mcp, [1; 8], [2; 32]);
        assert!(!format!("{token:?}").contains(token.secret()));
    }
}
