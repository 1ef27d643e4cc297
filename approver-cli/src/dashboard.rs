//! `dashboard`: the web pages, signed in.

use clap::Args;
use vouchsafe_proto::v1::CreateSignInCodeRequest;

use crate::context::Context;
use crate::environment;
use crate::error::CliError;
use crate::output;
use crate::record::Record;
use crate::text::safe_line;
use crate::time;

/// Open the web pages in your browser, signed in as you.
///
/// The daemon makes an address with a code in it that signs you in once, within minutes. Where this
/// machine has no display, the address is printed instead. Whoever runs programs on this machine may
/// see the address among a browser's arguments when it starts; by then the code is used, or soon
/// worth nothing. With --print no program is started.
#[derive(Args, Debug)]
pub(crate) struct Command {
    /// Print the address, and open nothing
    #[arg(long)]
    print: bool,
}

pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = CreateSignInCodeRequest {};
    let code = daemon.users().create_sign_in_code(request).await?.into_inner();
    let url = code.url.as_str();
    if !is_web_address(url) {
        // It goes to another program as an argument.
        return Err(CliError::failed("the daemon gave no address that a browser could open"));
    }
    if context.out.is_json() {
        let record = Record::new().text("url", url).time("expires_at", code.expires_at);
        return context.out.record(&record);
    }
    if command.print || !environment::has_display() {
        return print(url, code.expires_at, context);
    }
    if open::that_detached(url).is_ok() {
        return context.out.say(
            "opened in your browser; if nothing came up, `vouchsafe dashboard --print` prints the \
             address",
        );
    }
    output::note("no browser could be started: open this address in one");
    print(url, code.expires_at, context)
}

fn print(
    url: &str,
    expires_at: Option<prost_types::Timestamp>,
    context: &Context,
) -> Result<(), CliError> {
    context.out.say(url)?;
    let until = expires_at.and_then(time::from_proto);
    let until = until.map(|at| format!(", and ends {}", time::relative(at, time::now())));
    output::note(&format!("it signs in as you, once{}", until.unwrap_or_default()));
    Ok(())
}

/// Nothing that a program could take for an option or a file, and nothing that hides.
fn is_web_address(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && url.bytes().all(|b| b.is_ascii_graphic())
        && safe_line(url) == url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_the_web_goes_to_a_browser() {
        assert!(is_web_address("http://127.0.0.1:7431/sign-in#code"));
        for other in ["", "--help", "file:///etc/passwd", "https://a b", "http://a\nb", "/bin/sh"] {
            assert!(!is_web_address(other), "{other}");
        }
    }
}
