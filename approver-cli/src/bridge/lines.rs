//! Lines of a stream, of bounded length, that can be waited for beside other things.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use zeroize::{Zeroize as _, Zeroizing};

/// Read at once.
const CHUNK_BYTES: usize = 8 * 1024;
/// Long enough to find out the id of a request that is too long to be sent on.
const READ_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its line end.
    Text(Zeroizing<String>),
    /// Too long, or no UTF-8; it has been skipped.
    Garbage,
    End,
}

/// Reads lines, and wipes what it held of them: values pass here. Dropping the future of `next` loses
/// nothing.
#[derive(Debug)]
pub(crate) struct LineReader<R> {
    source: R,
    /// Read, and not looked at from `taken` on.
    chunk: Zeroizing<Vec<u8>>,
    taken: usize,
    line: Zeroizing<Vec<u8>>,
    too_long: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(source: R) -> Self {
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES));
        Self { source, chunk, taken: 0, line: Zeroizing::default(), too_long: false }
    }

    /// The next line that is not empty.
    pub(crate) async fn next(&mut self) -> io::Result<Line> {
        loop {
            if self.taken >= self.chunk.len() {
                self.chunk.zeroize();
                self.taken = 0;
                // It fills the room that there is, and makes no more where there is some.
                if self.source.read_buf(&mut *self.chunk).await? == 0 {
                    return Ok(Line::End);
                }
            }
            if let Some(line) = self.take_line() {
                return Ok(line);
            }
        }
    }

    /// The line that ends in what was read, if one does.
    fn take_line(&mut self) -> Option<Line> {
        let rest = self.chunk.get(self.taken..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if self.line.len().saturating_add(part.len()) > READ_BYTES_MAX {
            self.too_long = true;
            self.line.zeroize();
        } else if !self.too_long {
            extend(&mut self.line, part);
        }
        self.taken =
            self.taken.saturating_add(part.len()).saturating_add(usize::from(end.is_some()));
        end.and_then(|_| self.finish())
    }

    fn finish(&mut self) -> Option<Line> {
        let line = std::mem::take(&mut *self.line);
        if std::mem::take(&mut self.too_long) {
            return Some(Line::Garbage);
        }
        let mut text = match String::from_utf8(line) {
            Ok(text) => Zeroizing::new(text),
            Err(error) => {
                error.into_bytes().zeroize();
                return Some(Line::Garbage);
            }
        };
        let end = text.trim_end().len();
        text.truncate(end);
        (!text.is_empty()).then_some(Line::Text(text))
    }
}

/// Adds to a line; where it has to move, its old place is wiped.
fn extend(line: &mut Zeroizing<Vec<u8>>, part: &[u8]) {
    let needed = line.len().saturating_add(part.len());
    if needed > line.capacity() {
        let room = needed.max(line.capacity().saturating_mul(2));
        let mut longer = Zeroizing::new(Vec::with_capacity(room));
        longer.extend_from_slice(line);
        *line = longer;
    }
    line.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_lose_their_ends_and_garbage_is_skipped() {
        let mut input = b"one\r\n\n\xff\n".to_vec();
        input.extend(vec![b'x'; READ_BYTES_MAX + 1]);
        input.extend(b"\ntwo\ncut off");
        let mut lines = LineReader::new(input.as_slice());
        for expected in [
            Line::Text("one".to_owned().into()),
            Line::Garbage,
            Line::Garbage,
            Line::Text("two".to_owned().into()),
            Line::End,
        ] {
            assert_eq!(lines.next().await.unwrap(), expected);
        }
    }
}
