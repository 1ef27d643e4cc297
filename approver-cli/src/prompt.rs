//! Questions to the person at the terminal.

use std::io::{self, BufRead as _, IsTerminal as _};

use zeroize::Zeroizing;

use crate::error::CliError;
use crate::output;

/// Whether a person can answer.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Anything but a clear yes is a no.
pub(crate) async fn confirm(question: &str) -> Result<bool, CliError> {
    line(&format!("{question} [y/N] ")).await.map(|answer| is_yes(&answer))
}

/// What the person answers, in a line; empty where there is nobody. Connections are served while
/// the person thinks.
pub(crate) async fn line(question: &str) -> Result<String, CliError> {
    output::ask(question);
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    match read.await {
        Ok(Ok(answer)) => Ok(answer.trim().to_owned()),
        Ok(Err(error)) => Err(CliError::io("reading the answer", &error)),
        Err(_) => Ok(String::new()),
    }
}

/// Like `confirm`, but goes ahead where nobody can be asked or `--yes` was given.
pub(crate) async fn confirm_unless(yes: bool, question: &str) -> Result<(), CliError> {
    if yes || !can_ask() || confirm(question).await? {
        return Ok(());
    }
    Err(CliError::failed("nothing was done: you did not say yes"))
}

/// A line that is not echoed.
pub(crate) fn hidden(question: &str) -> Result<Zeroizing<String>, CliError> {
    rpassword::prompt_password(question)
        .map(Zeroizing::new)
        .map_err(|error| CliError::io("reading the value", &error))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        for (answer, yes) in
            [("y\n", true), ("YES", true), ("", false), ("n", false), ("yeah", false)]
        {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
