//! The endpoint's key: read once, sent in one header, never shown.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// No key is longer, bytes.
const KEY_BYTES_MAX: usize = 4096;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("key file {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("key file {path} has mode {mode:o}; only its owner may read it: chmod 600 {path}")]
    Mode {
        /// Which file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key.
    #[error(
        "{place} holds no key: 1 to {KEY_BYTES_MAX} visible ASCII characters on one line are needed"
    )]
    Form {
        /// File or environment variable.
        place: String,
    },
}

/// A key. Neither `Debug` nor anything else prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

impl ApiKey {
    /// Reads a key file that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError`]; no variant carries what was read.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let shown = path.display().to_string();
        let read = |source| KeyError::Read { path: shown.clone(), source };
        let file = File::open(path).map_err(read)?;
        let mode = file.metadata().map_err(read)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Mode { path: shown, mode });
        }
        let mut text = String::new();
        let limit = u64::try_from(KEY_BYTES_MAX + 2).unwrap_or(u64::MAX);
        file.take(limit).read_to_string(&mut text).map_err(read)?;
        Self::from_text(&text, &format!("key file {shown}"))
    }

    /// Takes a key from a text, such as an environment variable's, with its `place` for errors.
    ///
    /// # Errors
    /// [`KeyError::Form`].
    pub fn from_text(text: &str, place: &str) -> Result<Self, KeyError> {
        let key = text.trim();
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !visible {
            return Err(KeyError::Form { place: place.to_owned() });
        }
        Ok(Self(key.to_owned()))
    }

    /// The value of the `Authorization` header.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// The text with the key taken out, should an endpoint have sent it back.
    pub(super) fn redact(&self, text: &str) -> String {
        text.replace(&self.0, "[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_key_is_never_shown() {
        let key = ApiKey::from_text(" sk-very-secret\n", "here").unwrap();
        assert_eq!(key.header(), "Bearer sk-very-secret");
        assert!(!format!("{key:?}").contains("secret"));
        assert_eq!(key.redact("bad key sk-very-secret!"), "bad key [redacted]!");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let path = std::env::temp_dir().join(format!("mechos-key-{}", std::process::id()));
        fs::write(&path, "sk-secret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = ApiKey::from_file(&path).unwrap_err().to_string();
        assert!(error.contains("644") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(ApiKey::from_file(&path).unwrap().header(), "Bearer sk-secret");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for text in ["", "  \n", "two words", "line\nline", &"x".repeat(KEY_BYTES_MAX + 1)] {
            let error = ApiKey::from_text(text, "MECHOS_API_KEY").unwrap_err().to_string();
            assert!(error.contains("MECHOS_API_KEY") && !error.contains("line\nline"));
        }
    }
}
