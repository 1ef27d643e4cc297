//! Names that the machine gives: a type a kind, so that none is taken for another.
//!
//! An id is 80 random bits, written as a prefix and 16 lower-case Crockford base32 characters.
//! The core has no source of randomness: whoever makes an id brings the bits.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Random bytes in an id.
pub const ID_BYTES: usize = 10;

const DIGITS: usize = 16;

/// A text that is no id of the kind asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an id of this kind: it is `{prefix}` and 16 characters")]
pub struct IdError {
    prefix: &'static str,
}

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    #[expect(clippy::expect_used, reason = "a constant alphabet of 32 distinct symbols is one")]
    specification.encoding().expect("the alphabet is a valid base32 one")
});

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; ID_BYTES]);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// The id of these random bits.
            pub const fn from_random(bits: [u8; ID_BYTES]) -> Self {
                Self(bits)
            }

            /// The random bits.
            pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
                &self.0
            }

            /// Turns what a person typed (`ap_3f`, `3f`) into the text that ids in question begin
            /// with, or nothing where no id can begin so.
            pub fn search_prefix(typed: &str) -> Option<String> {
                search_prefix(Self::PREFIX, typed)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", Self::PREFIX, BASE32.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(Self::PREFIX, text).map(Self).ok_or(IdError { prefix: Self::PREFIX })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

id!(
    /// An approval.
    ApprovalId,
    "ap_"
);
id!(
    /// A lease.
    LeaseId,
    "ls_"
);
id!(
    /// An MCP key.
    KeyId,
    "key_"
);
id!(
    /// A user.
    UserId,
    "usr_"
);
id!(
    /// A secret; its path may be used again after it was deleted, its id never is.
    SecretId,
    "sec_"
);
id!(
    /// A project.
    ProjectId,
    "prj_"
);
id!(
    /// The review of a broken glass.
    ReviewId,
    "rv_"
);
id!(
    /// A message to somebody.
    MessageId,
    "msg_"
);
id!(
    /// Somebody's session on the web pages.
    WebSessionId,
    "ws_"
);
id!(
    /// A code or a link that signs somebody in once.
    SignInId,
    "si_"
);
id!(
    /// A key-encryption key of the vault.
    KekId,
    "kek_"
);

fn parse(prefix: &str, text: &str) -> Option<[u8; ID_BYTES]> {
    let digits = text.strip_prefix(prefix)?;
    if digits.len() != DIGITS {
        return None;
    }
    BASE32.decode(digits.as_bytes()).ok()?.try_into().ok()
}

fn search_prefix(prefix: &str, typed: &str) -> Option<String> {
    let typed = typed.trim().to_ascii_lowercase();
    let digits = typed.strip_prefix(prefix).unwrap_or(&typed);
    let fits = digits.len() <= DIGITS
        && !digits.is_empty()
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || (b.is_ascii_lowercase() && !b"ilou".contains(&b)));
    fits.then(|| format!("{prefix}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_is_written() {
        let id = ApprovalId::from_random([1, 2, 3, 4, 5, 250, 251, 252, 253, 254]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 19);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let lease = LeaseId::from_random([7; ID_BYTES]).to_string();
        assert!(lease.parse::<ApprovalId>().is_err());
        for bad in [
            "",
            "ap_",
            "ap_0",
            "ap_iiiiiiiiiiiiiiii",
            "ap_00000000000000000",
            "ap_0000000000000%00",
        ] {
            assert!(bad.parse::<ApprovalId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_short_form_is_searched_with_or_without_its_prefix() {
        assert_eq!(ApprovalId::search_prefix("AP_3F").as_deref(), Some("ap_3f"));
        assert_eq!(ApprovalId::search_prefix("3f").as_deref(), Some("ap_3f"));
        for bad in ["", "ap_", "%", "3_f", "u", "00000000000000000"] {
            assert_eq!(ApprovalId::search_prefix(bad), None, "{bad}");
        }
    }
}
