//! Which values there are: their first bytes, their lengths and their fingerprints.
//!
//! A fingerprint is a polynomial over the bytes, modulo a prime of 61 bits. That of any part of a
//! text comes out of two sums, whatever its length: so a long value costs no more than a short one,
//! and a text that is full of near misses no more than any other. Two different texts of one length
//! have the same with a chance of one in 2^40 or less; then a little too much is masked.

use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use super::VALUE_BYTES_MIN;

/// A Mersenne prime.
const MODULUS: u64 = (1 << 61) - 1;
/// Any number that is not small.
const BASE: u64 = 0x0b5c_7f1d_93e2_4a67;
/// The first bytes of a value, as a number.
const PREFIX_MASK: u64 = (1 << (8 * VALUE_BYTES_MIN)) - 1;
/// Words of the filter, of 64 bits each.
const FILTER_WORDS: usize = 1024;

/// One value.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd, Zeroize)]
struct Row {
    prefix: u64,
    bytes: usize,
    fingerprint: u64,
    /// [`BASE`] to the power of its length.
    power: u64,
}

/// Values that are still collected.
pub(super) struct Rows(Zeroizing<Vec<Row>>);

/// Values that can be looked for.
pub(super) struct Table {
    rows: Zeroizing<Vec<Row>>,
    /// A bit for what the first bytes of some value come to: most places of a text are done with
    /// by a look at it.
    filter: Zeroizing<Vec<u64>>,
    /// Whether `+` is read as a blank.
    plus_is_blank: bool,
}

impl Rows {
    pub(super) fn new(rows: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(rows)))
    }

    /// One more value, if it is long enough.
    pub(super) fn learn(&mut self, value: impl Iterator<Item = u8>) {
        let mut row = Row { prefix: 0, bytes: 0, fingerprint: 0, power: 1 };
        for byte in value {
            if row.bytes < VALUE_BYTES_MIN {
                row.prefix = shifted(row.prefix, byte);
            }
            row.fingerprint = followed(row.fingerprint, byte);
            row.power = times(row.power, BASE);
            row.bytes += 1;
        }
        if row.bytes >= VALUE_BYTES_MIN {
            self.push(row);
        }
    }

    fn push(&mut self, row: Row) {
        if self.0.len() == self.0.capacity() {
            // Grown by hand: what it leaves is wiped.
            let mut wider = Zeroizing::new(Vec::with_capacity(self.0.len() * 2 + 8));
            wider.extend_from_slice(&self.0);
            self.0 = wider;
        }
        self.0.push(row);
    }
}

impl Table {
    pub(super) fn new(rows: Rows, plus_is_blank: bool) -> Self {
        let Rows(mut rows) = rows;
        rows.sort_unstable();
        rows.dedup();
        let mut filter = Zeroizing::new(vec![0; FILTER_WORDS]);
        for row in rows.iter() {
            let (word, bit) = place(row.prefix);
            if let Some(word) = filter.get_mut(word) {
                *word |= bit;
            }
        }
        Self { rows, filter, plus_is_blank }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Finds, at each place of `bytes`, the longest value that is there.
    pub(super) fn find(&self, bytes: &[u8], steps: &mut u64, mut found: impl FnMut(Range<usize>)) {
        let mut sums = None;
        let mut window = 0;
        for (last, byte) in bytes.iter().enumerate() {
            *steps += 1;
            window = shifted(window, self.read(*byte));
            let Some(start) = (last + 1).checked_sub(VALUE_BYTES_MIN) else { continue };
            let candidates = self.beginning_with(window);
            if candidates.is_empty() {
                continue;
            }
            let sums = sums.get_or_insert_with(|| {
                *steps += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.sums(bytes)
            });
            if let Some(longest) = longest(candidates, sums, start, steps) {
                found(start..start + longest);
            }
        }
    }

    /// The values that begin so, by length.
    fn beginning_with(&self, prefix: u64) -> &[Row] {
        let (word, bit) = place(prefix);
        if self.filter.get(word).is_none_or(|word| word & bit == 0) {
            return &[];
        }
        let from = self.rows.partition_point(|row| row.prefix < prefix);
        let rest = self.rows.get(from..).unwrap_or_default();
        rest.get(..rest.partition_point(|row| row.prefix == prefix)).unwrap_or_default()
    }

    /// The fingerprint of what is before each place.
    fn sums(&self, bytes: &[u8]) -> Zeroizing<Vec<u64>> {
        let mut sums = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
        let mut sum = 0;
        sums.push(sum);
        for byte in bytes {
            sum = followed(sum, self.read(*byte));
            sums.push(sum);
        }
        sums
    }

    fn read(&self, byte: u8) -> u8 {
        if self.plus_is_blank { plus_as_blank(byte) } else { byte }
    }
}

/// As forms write it.
pub(super) fn plus_as_blank(byte: u8) -> u8 {
    if byte == b'+' { b' ' } else { byte }
}

/// The length of the longest of these that is what begins at `start`. One comparison a length,
/// however many there are of it.
fn longest(mut rows: &[Row], sums: &[u64], start: usize, steps: &mut u64) -> Option<usize> {
    let before = sums.get(start)?;
    let mut longest = None;
    while let Some(first) = rows.first() {
        // One that does not fit is followed by longer ones.
        let Some(upto) = sums.get(start + first.bytes) else { break };
        *steps += 1;
        let fingerprint = minus(*upto, times(*before, first.power));
        let (alike, longer) = rows.split_at(rows.partition_point(|row| row.bytes == first.bytes));
        if alike.binary_search_by_key(&fingerprint, |row| row.fingerprint).is_ok() {
            longest = Some(first.bytes);
        }
        rows = longer;
    }
    longest
}

fn place(prefix: u64) -> (usize, u64) {
    // The upper bits of a product depend on all bits of the prefix.
    let hash = prefix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    (usize::try_from(hash >> 6).unwrap_or(0), 1 << (hash & 63))
}

fn shifted(window: u64, byte: u8) -> u64 {
    (window << 8 | u64::from(byte)) & PREFIX_MASK
}

/// The fingerprint of a text with one more byte.
fn followed(sum: u64, byte: u8) -> u64 {
    let sum = times(sum, BASE) + u64::from(byte) + 1;
    if sum >= MODULUS { sum - MODULUS } else { sum }
}

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let low = u64::try_from(product & u128::from(MODULUS)).unwrap_or(0);
    let high = u64::try_from(product >> 61).unwrap_or(0);
    let sum = low + high;
    if sum >= MODULUS { sum - MODULUS } else { sum }
}

fn minus(a: u64, b: u64) -> u64 {
    if a >= b { a - b } else { a + MODULUS - b }
}
