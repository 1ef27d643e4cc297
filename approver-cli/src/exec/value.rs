//! Values on their way from an answer to an environment, wiped wherever they were.

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// Reads a value as it stands in an answer: a JSON string, quotes and all, in this encoding.
///
/// JSON's own reader is not used, because it does not wipe what it works with.
pub(super) fn decode(json: &str, encoding: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = unescape(json)?;
    match encoding {
        "utf-8" => Some(text),
        "base64" => BASE64.decode(&text).ok().map(Zeroizing::new),
        _ => None,
    }
}

/// Why a value cannot be that of a variable.
pub(super) fn fault(value: &[u8]) -> Option<&'static str> {
    value.contains(&0).then_some("it holds a NUL byte, and no variable can")
}

fn unescape(json: &str) -> Option<Zeroizing<Vec<u8>>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    // Nothing gets longer, so that nothing is moved.
    let mut bytes = Zeroizing::new(Vec::with_capacity(inner.len()));
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let c = if c == '\\' { escaped(&mut chars)? } else { c };
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(bytes)
}

fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unit(chars),
        c @ ('"' | '\\' | '/') => c,
        _ => return None,
    })
}

/// What `\u` stands for, and the second half of a pair with it.
fn unit(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let first = hex(chars)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    if (chars.next()?, chars.next()?) != ('\\', 'u') {
        return None;
    }
    let second = hex(chars)?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    let high = first.checked_sub(0xd800)?;
    char::from_u32(0x1_0000_u32.checked_add(high.checked_mul(0x400)?)?.checked_add(low)?)
}

fn hex(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0_u32, |sum, _| sum.checked_mul(16)?.checked_add(chars.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_any_reader_of_json_would() {
        for value in [
            "",
            "plain",
            "quote \" backslash \\ slash / line\nfeed\r\ttab\u{8}\u{c}\u{1}",
            "déjà vu 東京 🔑",
        ] {
            let json = serde_json::to_string(value).unwrap();
            assert_eq!(**decode(&json, "utf-8").unwrap(), *value.as_bytes(), "{json}");
        }
        let json = r#""\u00e9\/\ud83d\udd11""#;
        assert_eq!(**decode(json, "utf-8").unwrap(), *"é/🔑".as_bytes());
        assert_eq!(**decode(r#""/wAB""#, "base64").unwrap(), [255, 0, 1]);
    }

    #[test]
    fn what_is_no_json_string_is_no_value() {
        for json in [
            "plain",
            r#""\x""#,
            r#""\u12"#,
            r#""\ud83d""#,
            r#""\ud83d\u0041""#,
            r#""\udd11""#,
            "null",
        ] {
            assert!(decode(json, "utf-8").is_none(), "{json}");
        }
        assert!(decode(r#""a""#, "rot13").is_none());
        assert!(decode(r#""*""#, "base64").is_none());
    }

    #[test]
    fn no_variable_holds_a_nul() {
        assert!(fault(b"a\0b").is_some());
        assert_eq!(fault(b"\xff\n"), None);
    }
}
