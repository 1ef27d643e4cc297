//! A text as it reads once something is decoded, and where each byte of that came from.

use std::ops::Range;

use zeroize::Zeroizing;

/// A line break as `text::escape_untrusted` shows it.
const SHOWN_BREAK: &[u8] = "⏎".as_bytes();

/// Bytes, each with the span that it was read from. All line breaks are `\n`.
pub(super) struct View {
    bytes: Zeroizing<Vec<u8>>,
    from: Vec<(usize, usize)>,
    after_return: bool,
}

/// Spans of a text.
#[derive(Default)]
pub(super) struct Spans(Vec<(usize, usize)>);

/// A digit, and where it is.
type Digit = (u8, usize);

impl View {
    /// A text as it is.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut view = Self::with_room(text.len());
        for (at, byte) in text.iter().enumerate() {
            view.push(*byte, (at, at + 1));
        }
        view
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What these bytes were read from.
    pub(super) fn span(&self, at: Range<usize>) -> (usize, usize) {
        self.span_between((at.start, at.end))
    }

    pub(super) fn span_between(&self, (start, end): (usize, usize)) -> (usize, usize) {
        let first = self.from.get(start).map_or(0, |span| span.0);
        let last = end.checked_sub(1).and_then(|last| self.from.get(last)).map_or(0, |span| span.1);
        (first, last)
    }

    /// Without the escapes of JSON and of `text::escape_untrusted`; nothing where it has none.
    pub(super) fn unescaped(&self) -> Option<Self> {
        self.decoded(b'\\', |rest| {
            let (c, length) = escape(rest)?;
            let mut utf8 = [0; 4];
            let length_utf8 = c.encode_utf8(&mut utf8).len();
            Some((utf8, length_utf8, length))
        })
    }

    /// Without percent signs; nothing where it has none.
    pub(super) fn percent_decoded(&self) -> Option<Self> {
        self.decoded(b'%', |rest| {
            let [b'%', high, low, ..] = rest else { return None };
            let byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
            Some(([byte, 0, 0, 0], 1, 3))
        })
    }

    /// Decodes what begins with `mark`: `decode` gives up to four bytes, how many they are, and how
    /// many were read for them.
    fn decoded(
        &self,
        mark: u8,
        decode: impl Fn(&[u8]) -> Option<([u8; 4], usize, usize)>,
    ) -> Option<Self> {
        let mut at = self.bytes.iter().position(|byte| *byte == mark)?;
        let mut view = Self::with_room(self.bytes.len());
        for (byte, from) in self.bytes.iter().zip(&self.from).take(at) {
            view.push(*byte, *from);
        }
        let mut changed = false;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let read = if rest.first() == Some(&mark) { decode(rest) } else { None };
            if let Some((bytes, count, length)) = read {
                let span = self.span(at..at + length);
                for byte in bytes.iter().take(count) {
                    view.push(*byte, span);
                }
                at += length;
                changed = true;
            } else {
                let span = self.span(at..at + 1);
                if let Some(byte) = rest.first() {
                    view.push(*byte, span);
                }
                at += 1;
            }
        }
        changed.then_some(view)
    }

    /// Shows `each` every run of at least so many digits. Line breaks are no end of a run.
    pub(super) fn runs(
        &self,
        digit: impl Fn(u8) -> Option<u8>,
        digits_min: usize,
        mut each: impl FnMut(&[Digit]),
    ) {
        let mut run = Vec::new();
        let mut at = 0;
        while let Some(byte) = self.bytes.get(at) {
            if let Some(digit) = digit(*byte) {
                run.push((digit, at));
            } else if !run.is_empty() && *byte == b'\n' {
                // The next line belongs to it.
            } else if !run.is_empty() && self.bytes.get(at..at + 3) == Some(SHOWN_BREAK) {
                at += 2;
            } else {
                if run.len() >= digits_min {
                    each(&run);
                }
                run.clear();
            }
            at += 1;
        }
        if run.len() >= digits_min {
            each(&run);
        }
    }

    /// What to mask for base64 that is at these places: the letters and digits around it too, and
    /// what pads it, so that no piece of an encoding is left that nobody can decode. `before` is
    /// what was masked last, so that nothing is walked over twice.
    pub(super) fn word_around(
        &self,
        (start, end): (usize, usize),
        before: (usize, usize),
    ) -> (usize, usize) {
        if before.0 <= start && end <= before.1 {
            return before;
        }
        let byte = |at: usize| self.bytes.get(at).copied();
        let mut first = start;
        while first > before.1 && byte(first - 1).is_some_and(|b| b.is_ascii_alphanumeric()) {
            first -= 1;
        }
        first = start.min(first + self.escape_at(first));
        let mut last = end;
        while byte(last).is_some_and(|b| b.is_ascii_alphanumeric()) {
            last += 1;
        }
        let pads = (0..2).take_while(|more| byte(last + more) == Some(b'=')).count();
        (first, last + pads)
    }

    /// How many letters at this place belong to an escape that begins right before it.
    fn escape_at(&self, at: usize) -> usize {
        let Some(rest) = at.checked_sub(1).and_then(|mark| self.bytes.get(mark..)) else {
            return 0;
        };
        match rest {
            [b'\\', ..] => escape(rest).map_or(0, |(_, length)| length - 1),
            [b'%', high, low, ..] if hex_digit(*high).and(hex_digit(*low)).is_some() => 2,
            _ => 0,
        }
    }

    fn with_room(bytes: usize) -> Self {
        let from = Vec::with_capacity(bytes);
        Self { bytes: Zeroizing::new(Vec::with_capacity(bytes)), from, after_return: false }
    }

    fn push(&mut self, byte: u8, from: (usize, usize)) {
        if byte == b'\n' && self.after_return {
            self.after_return = false;
            if let Some(last) = self.from.last_mut() {
                last.1 = from.1;
            }
            return;
        }
        self.after_return = byte == b'\r';
        self.bytes.push(if byte == b'\r' { b'\n' } else { byte });
        self.from.push(from);
    }
}

impl Spans {
    /// One more; those of one search come in order.
    pub(super) fn push(&mut self, (start, end): (usize, usize)) {
        match self.0.last_mut() {
            Some(last) if last.0 <= start && start <= last.1 => last.1 = last.1.max(end),
            _ => self.0.push((start, end)),
        }
    }

    /// All of them, in order, none overlapping another.
    pub(super) fn merged(mut self) -> Vec<(usize, usize)> {
        self.0.sort_unstable();
        let mut merged = Self::default();
        for span in self.0 {
            merged.push(span);
        }
        merged.0
    }
}

/// The bytes, with each line break as `\n`.
pub(super) fn joined_breaks(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let mut after_return = false;
    bytes.iter().filter_map(move |byte| {
        let joined = *byte == b'\n' && after_return;
        after_return = *byte == b'\r';
        (!joined).then_some(if *byte == b'\r' { b'\n' } else { *byte })
    })
}

/// Of base64 and of base64url.
pub(super) fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// What these digits of base64 are, from the first of them on; each byte with its two digits' places.
pub(super) fn base64_decoded(digits: &[Digit]) -> View {
    let mut view = View::with_room(digits.len());
    for group in digits.chunks(4) {
        // Six bits of one digit and two of the next, then four and four, then two and six.
        for ((nth, first), next) in group.iter().enumerate().zip(group.iter().skip(1)) {
            let byte = (first.0 << (2 + 2 * nth)) | (next.0 >> (4 - 2 * nth));
            view.push(byte, (first.1, next.1 + 1));
        }
    }
    view
}

/// The same for hex.
pub(super) fn hex_decoded(digits: &[Digit]) -> View {
    let mut view = View::with_room(digits.len() / 2);
    for pair in digits.chunks_exact(2) {
        if let [high, low] = pair {
            view.push(high.0 << 4 | low.0, (high.1, low.1 + 1));
        }
    }
    view
}

/// The character that an escape at the beginning of `rest` stands for, and its length.
fn escape(rest: &[u8]) -> Option<(char, usize)> {
    match rest {
        [b'\\', b'u', b'{', rest @ ..] => {
            let digits =
                rest.iter().position(|byte| *byte == b'}').filter(|n| (1..=6).contains(n))?;
            Some((char::from_u32(number(rest.get(..digits)?)?)?, digits + 4))
        }
        [b'\\', b'u', rest @ ..] => {
            let unit = number(rest.get(..4)?)?;
            if let Some(c) = char::from_u32(unit) {
                return Some((c, 6));
            }
            let [b'\\', b'u', rest @ ..] = rest.get(4..)? else { return None };
            let second = number(rest.get(..4)?)?;
            let units = [u16::try_from(unit).ok()?, u16::try_from(second).ok()?];
            Some((char::decode_utf16(units).next()?.ok()?, 12))
        }
        [b'\\', letter, ..] => {
            let c = match letter {
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'"' | b'\\' | b'/' => char::from(*letter),
                _ => return None,
            };
            Some((c, 2))
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | u32::from(hex_digit(*digit)?)))
}
