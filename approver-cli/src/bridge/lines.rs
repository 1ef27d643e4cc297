//! Lines of a stream, of bounded length, that can be waited for beside other things.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Long enough to find out the id of a request that is too long to be sent on.
const READ_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its line end.
    Text(String),
    /// Too long, or no UTF-8; it has been skipped.
    Garbage,
    End,
}

/// Reads lines. Dropping the future of `next` loses nothing.
#[derive(Debug)]
pub(crate) struct LineReader<R> {
    source: BufReader<R>,
    line: Vec<u8>,
    too_long: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source: BufReader::new(source), line: Vec::new(), too_long: false }
    }

    /// The next line that is not empty.
    pub(crate) async fn next(&mut self) -> io::Result<Line> {
        loop {
            let bytes = self.source.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(Line::End);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, used) = match end {
                Some(end) => (bytes.get(..end).unwrap_or_default(), end.saturating_add(1)),
                None => (bytes, bytes.len()),
            };
            if self.line.len().saturating_add(part.len()) > READ_BYTES_MAX {
                self.too_long = true;
                self.line = Vec::new();
            } else if !self.too_long {
                self.line.extend_from_slice(part);
            }
            self.source.consume(used);
            if end.is_some()
                && let Some(line) = self.finish()
            {
                return Ok(line);
            }
        }
    }

    fn finish(&mut self) -> Option<Line> {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.too_long) {
            return Some(Line::Garbage);
        }
        let Ok(mut text) = String::from_utf8(line) else {
            return Some(Line::Garbage);
        };
        text.truncate(text.trim_end().len());
        (!text.is_empty()).then_some(Line::Text(text))
    }
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
            Line::Text("one".to_owned()),
            Line::Garbage,
            Line::Garbage,
            Line::Text("two".to_owned()),
            Line::End,
        ] {
            assert_eq!(lines.next().await.unwrap(), expected);
        }
    }
}
