//! The real programs: built once, run in homes of their own, killed when their test ends.

mod agent;
mod bridge;
mod build;
mod command;
mod daemon;
mod home;
mod running;
mod terminal;
mod user;
mod wait;

pub use self::agent::{Agent, Answer, Trouble};
pub use self::bridge::Bridge;
pub use self::build::{program, setting, use_ring};
pub use self::command::{Said, run};
pub use self::daemon::RealDaemon;
pub use self::home::{Home, RULES};
pub use self::running::Running;
pub use self::terminal::Terminal;
pub use self::user::{Door, SignIn, User};
pub use self::wait::{LONG, until};
