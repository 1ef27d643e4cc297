//! The programs we can connect, and where each keeps its settings.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::environment;
use crate::error::CliError;

/// A program that speaks MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Vscode,
}

impl Client {
    /// Also the usual name of its MCP key.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
        }
    }

    /// The name of each.
    pub(crate) fn names() -> Vec<&'static str> {
        Self::value_variants().iter().map(|client| client.name()).collect()
    }

    /// The program of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|client| client.name() == name)
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::Vscode => "VS Code",
        }
    }

    /// The member of the settings that holds MCP servers.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Vscode => "servers",
            Self::ClaudeDesktop | Self::ClaudeCode | Self::Cursor => "mcpServers",
        }
    }

    /// None where the program changes its settings itself.
    pub(super) fn settings_file(self) -> Result<Option<PathBuf>, CliError> {
        let home = std::env::home_dir().filter(|home| home.is_absolute()).ok_or_else(|| {
            CliError::usage("this user has no home directory")
                .with_next("use --print and put it where the program looks")
        })?;
        let apps = if cfg!(target_os = "macos") {
            home.join("Library/Application Support")
        } else {
            environment::config_dir().unwrap_or_else(|| home.join(".config"))
        };
        Ok(match self {
            Self::ClaudeDesktop => Some(apps.join("Claude/claude_desktop_config.json")),
            Self::Cursor => Some(home.join(".cursor/mcp.json")),
            Self::Vscode => Some(apps.join("Code/User/mcp.json")),
            Self::ClaudeCode => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_name_is_what_is_typed_and_a_good_key_name() {
        for client in Client::value_variants() {
            let typed = client.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), client.name());
            assert!((3..=20).contains(&client.name().len()));
        }
    }
}
