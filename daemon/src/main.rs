//! `vouchsafed`: arguments in, exit code out.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use vouchsafed::app::{self, App, Checked, Overrides, StartError};
use vouchsafed::clock::{Clock, SystemClock};
use vouchsafed::config::{Config, ConfigError, Environment, LogFormat};
use vouchsafed::hardening::harden;
use vouchsafed::home::Home;
use vouchsafed::telemetry::{self, Format};

/// What was typed or configured makes no sense: `EX_USAGE`.
const USAGE: u8 = 64;
const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the daemon failed, or a check found a fault; 64 what was typed or configured \
makes no sense, and starting again changes nothing.";

/// The Vouchsafe broker daemon: holds secrets, asks people, keeps the log.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Args {
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = "The home folder; else VOUCHSAFE_HOME, else ~/.vouchsafe"
    )]
    home: Option<PathBuf>,
    /// Make a home to try things out in, and serve it
    #[arg(long)]
    dev: bool,
    /// Read the rules from this folder; else ./policies where there is one, else the home's
    #[arg(long, requires = "dev", value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Listen here for agents
    #[arg(long, requires = "dev", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a home
    Serve,
    /// Make a home
    Init {
        /// The first admin's name
        #[arg(long, value_name = "NAME", default_value = "admin")]
        admin: String,
    },
    /// Look for what would keep the daemon from starting
    CheckConfig,
    /// Check the whole audit log of a home that nobody serves
    Verify,
}

fn main() -> ExitCode {
    // Before anything else could need it. It fails where there is one already, which is as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked_for = !error.use_stderr();
            drop(error.print());
            return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    obey(args).unwrap_or_else(|error| {
        say(&format!("vouchsafed: {error:#}\n"));
        let usage = error.downcast_ref().is_some_and(StartError::is_usage)
            || error.downcast_ref::<ConfigError>().is_some();
        ExitCode::from(if usage { USAGE } else { 1 })
    })
}

fn obey(args: Args) -> anyhow::Result<ExitCode> {
    harden().map_err(StartError::from)?;
    let environment = Environment::read();
    let dir = Home::find(args.home.as_deref(), &environment)?;
    let context = Context { named: args.home.is_some(), dir, environment };
    match (args.dev, args.command) {
        (true, None) => context.dev(args.policies, args.listen),
        (false, Some(Command::Serve)) => context.serve(),
        (false, Some(Command::Init { admin })) => context.init(&admin),
        (false, Some(Command::CheckConfig)) => context.check_config(),
        (false, Some(Command::Verify)) => context.verify(),
        (true, Some(_)) => {
            Err(StartError::Usage("--dev serves by itself: give no command with it").into())
        }
        (false, None) => {
            Err(StartError::Usage("say what to do: serve, init, check-config, verify, or --dev")
                .into())
        }
    }
}

/// What every command begins with.
struct Context {
    /// The home was named with `--home`.
    named: bool,
    dir: PathBuf,
    environment: Environment,
}

impl Context {
    fn serve(self) -> anyhow::Result<ExitCode> {
        let home = Home::open(&self.dir)?;
        let config = self.config(&home)?;
        log(&config, &config.log.filter)?;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        runtime()?.block_on(async {
            let app = App::build(&config, home, clock()).await?;
            app::run(app, |running| {
                say(&format!("vouchsafed serves agents at http://{}/mcp\n", running.http_addr));
            })
            .await?;
            Ok(ExitCode::SUCCESS)
        })
    }

    fn dev(
        self,
        policies: Option<PathBuf>,
        listen: Option<SocketAddr>,
    ) -> anyhow::Result<ExitCode> {
        let policies = dev_policies(policies)?;
        let home = Home::create_dev(&self.dir)?;
        let config = Overrides { listen, policies }.apply(self.config(&home)?);
        log(&config, &config.log.filter)?;
        runtime()?.block_on(async {
            let made = app::prepare_dev(&config, home.clone(), clock()).await?;
            if let Some(made) = made {
                say(&made.to_string());
            }
            let app = App::build(&config, home, clock()).await?;
            app::run(app, |running| {
                say(&format!(
                    "\nServing a dev home at {}; stop it with Ctrl-C.\n\n",
                    self.dir.display()
                ));
                say(&running.next_steps(self.named));
            })
            .await?;
            Ok(ExitCode::SUCCESS)
        })
    }

    fn init(self, admin: &str) -> anyhow::Result<ExitCode> {
        let home = Home::create(&self.dir)?;
        let config = self.config(&home)?;
        log(&config, "warn")?;
        let made = runtime()?.block_on(app::init(&config, home, admin, clock()))?;
        say(&made.to_string());
        say(&made.then_serve(self.named));
        Ok(ExitCode::SUCCESS)
    }

    fn check_config(self) -> anyhow::Result<ExitCode> {
        let home = Home::open(&self.dir)?;
        let config = match self.config(&home) {
            Ok(config) => config,
            Err(error) => {
                say(&format!("{error}\n"));
                return Ok(ExitCode::from(1));
            }
        };
        for warning in config.warnings() {
            say(&format!("warning: {warning}\n"));
        }
        match app::check_config(&config, &home) {
            Ok(Checked::Good(rules)) => say(&format!("all is well: {rules} rules\n")),
            Ok(Checked::Serving) => say(
                "the configuration is good; a daemon serves the home, so nothing else was opened: \
                 `vouchsafe policy check` checks the rules\n",
            ),
            Err(error) => {
                say(&format!("{:#}\n", anyhow::Error::from(error)));
                return Ok(ExitCode::from(1));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn verify(self) -> anyhow::Result<ExitCode> {
        let home = Home::open(&self.dir)?;
        let config = self.config(&home)?;
        let verified = app::verify(&config, &home)?;
        say(&format!("the log is whole: {} entries, root {}\n", verified.size, verified.root));
        Ok(ExitCode::SUCCESS)
    }

    fn config(&self, home: &Home) -> Result<Config, ConfigError> {
        Config::load(&home.config_file(), &self.environment)
    }
}

/// The folder of rules for a dev home; none: the home's own.
fn dev_policies(given: Option<PathBuf>) -> Result<Option<PathBuf>, StartError> {
    let dir = match given {
        Some(dir) if dir.is_dir() => dir,
        Some(_) => return Err(StartError::Usage("there is no folder where --policies points")),
        None if Path::new("policies").is_dir() => PathBuf::from("policies"),
        None => return Ok(None),
    };
    let action = "find the policy folder";
    let absolute = std::path::absolute(dir);
    absolute.map(Some).map_err(|source| StartError::System { action, source })
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn log(config: &Config, filter: &str) -> Result<(), StartError> {
    let format = match config.log.format {
        LogFormat::Pretty => Format::Pretty,
        LogFormat::Json => Format::Json,
    };
    Ok(telemetry::init(format, filter)?)
}

fn runtime() -> Result<tokio::runtime::Runtime, StartError> {
    let made = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    made.map_err(|source| StartError::System { action: "start the runtime", source })
}

/// Says it to whoever started us; where nobody listens, nobody is told.
fn say(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}
