//! Where a configuration came from, so that it can be read again.

use std::path::PathBuf;

use super::{Config, ConfigError, load};

/// A configuration file, and the flags that go over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// `--drop-flows`: SIGTERM ends the spliced flows, whatever the file says.
    pub drop_flows: bool,
}

impl Origin {
    /// Reads the file as it is now.
    ///
    /// # Errors
    /// Any problem of the file (see [`ConfigError`]).
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = load(&self.file)?;
        config.splice.drop_flows |= self.drop_flows;
        Ok(config)
    }
}
