//! Signatures as of Standard Webhooks, <https://www.standardwebhooks.com>.

use std::ops::RangeInclusive;

use data_encoding::BASE64;
use ring::hmac;
use zeroize::Zeroizing;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How long a secret is, in bytes.
const SECRET_BYTES: RangeInclusive<usize> = 24..=64;
/// The most secrets at once: one that is leaving, one that is coming, and room.
const SECRETS_MAX: usize = 10;

/// The secrets of one endpoint, one at least. Each signs, so that a receiver may know any of them.
#[derive(Debug)]
pub(super) struct Secrets(Vec<hmac::Key>);

impl Secrets {
    /// Reads a secret a line; empty lines and those that begin with `#` are left out. The error says
    /// which line is wrong, and nothing of what is on it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).zip(1_usize..);
        let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        let mut keys = Vec::new();
        for (line, number) in lines {
            let encoded = line.strip_prefix(PREFIX).unwrap_or_default();
            let bytes = BASE64.decode(encoded.as_bytes()).map(Zeroizing::new);
            let bytes = bytes.ok().filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
            let bytes = bytes.ok_or_else(|| {
                format!(
                    "line {number} is no secret: write whsec_ and the base64 of 24 to 64 random \
                     bytes, such as `echo whsec_$(head -c 32 /dev/urandom | base64)` makes"
                )
            })?;
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        }
        match keys.len() {
            0 => Err("it has no secret in it: write one a line".to_owned()),
            1..=SECRETS_MAX => Ok(Self(keys)),
            count => Err(format!("it has {count} secrets: {SECRETS_MAX} at most")),
        }
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{seconds}.").as_bytes());
            context.update(body);
            format!("v1,{}", BASE64.encode(context.sign().as_ref()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn a_signature_is_what_the_standard_says() {
        let secrets = Secrets::parse(SECRET).unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body), SIGNED);
    }

    #[test]
    fn each_secret_signs() {
        let other = format!("whsec_{}", BASE64.encode(&[7; 64]));
        let text = format!("# the old one\n{SECRET}\n\n  {other}  \n");
        let secrets = Secrets::parse(&text).unwrap();
        let signed = secrets.sign("msg_1", 1, b"{}");
        let [old, new] = signed.split(' ').collect::<Vec<_>>()[..] else { panic!("{signed}") };
        assert!(old.starts_with("v1,") && new.starts_with("v1,") && old != new);
        assert!(!format!("{secrets:?}").contains("MfKQ"));
    }

    #[test]
    fn what_is_no_secret_is_said_by_its_line_alone() {
        let short = format!("whsec_{}", BASE64.encode(&[7; 23]));
        let long = format!("whsec_{}", BASE64.encode(&[7; 65]));
        for bad in [&short, &long, "whsec_", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "x"] {
            let said = Secrets::parse(&format!("{SECRET}\n{bad}")).unwrap_err();
            assert!(said.starts_with("line 2 is no secret"), "{said}");
            assert!(!said.contains(bad) || bad == "x" || bad == "whsec_", "{said}");
        }
        assert!(Secrets::parse("# none\n").is_err());
        assert!(Secrets::parse(&[SECRET; 11].join("\n")).is_err());
    }
}
