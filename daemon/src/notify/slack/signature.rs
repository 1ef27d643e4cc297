//! How Slack signs what it sends: `v0=` and the HMAC-SHA256, hex, of `v0:TIMESTAMP:BODY`.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use ring::hmac::{self, HMAC_SHA256, Key};

/// What an app's requests are signed with.
pub(super) struct SigningSecret {
    key: Key,
}

impl SigningSecret {
    pub(super) fn new(secret: &str) -> Self {
        Self { key: Key::new(HMAC_SHA256, secret.as_bytes()) }
    }

    /// Whether this secret made the signature. Compares in constant time.
    pub(super) fn signed(&self, timestamp: &str, body: &[u8], signature: &str) -> bool {
        let Some(given) = signature.strip_prefix("v0=") else { return false };
        let Ok(given) = HEXLOWER_PERMISSIVE.decode(given.as_bytes()) else { return false };
        let mut message = Vec::with_capacity(timestamp.len() + body.len() + 4);
        for part in [&b"v0:"[..], timestamp.as_bytes(), b":", body] {
            message.extend_from_slice(part);
        }
        hmac::verify(&self.key, &message, &given).is_ok()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in Slack's own description of its signatures.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const TIMESTAMP: &str = "1531420618";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&\
        team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&\
        user_name=roadrunner&command=%2Fwebhook-collect&text=&\
        response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F\
        96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.\
        803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    #[test]
    fn slacks_own_example_is_signed() {
        assert!(SigningSecret::new(SECRET).signed(TIMESTAMP, BODY.as_bytes(), SIGNATURE));
    }

    #[test]
    fn nothing_else_is() {
        let secret = SigningSecret::new(SECRET);
        let changed = BODY.replace("roadrunner", "coyote");
        let short = &SIGNATURE[..SIGNATURE.len() - 2];
        for (timestamp, body, signature) in [
            (TIMESTAMP, changed.as_str(), SIGNATURE),
            ("1531420619", BODY, SIGNATURE),
            (TIMESTAMP, BODY, short),
            (TIMESTAMP, BODY, ""),
            (TIMESTAMP, BODY, "v0="),
            (TIMESTAMP, BODY, &SIGNATURE[3..]),
            (TIMESTAMP, BODY, &SIGNATURE.replace("v0", "v1")),
            (TIMESTAMP, BODY, &SIGNATURE.replace('a', "z")),
        ] {
            assert!(!secret.signed(timestamp, body.as_bytes(), signature), "{signature}");
        }
        let other = SigningSecret::new("8f742231b10e8888abcd99yyyzzz85a6");
        assert!(!other.signed(TIMESTAMP, BODY.as_bytes(), SIGNATURE));
        assert_eq!(format!("{other:?}"), "SigningSecret(..)");
    }
}
