//! The signals that ask `mechos up` to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether, and by which signal, the end was asked for.
#[derive(Clone, Debug)]
pub struct Asked(Arc<AtomicUsize>);

impl Asked {
    /// Watches for Ctrl-C, SIGTERM and the end of the terminal.
    ///
    /// # Errors
    /// The system's.
    pub fn watch() -> io::Result<Asked> {
        let asked = Asked(Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let number = usize::try_from(signal).unwrap_or(0);
            signal_hook::flag::register_usize(signal, Arc::clone(&asked.0), number)?;
        }
        Ok(asked)
    }

    /// The last signal, if there was one.
    pub fn signal(&self) -> Option<i32> {
        // Relaxed: the number is all that is handed over.
        let number = self.0.load(Ordering::Relaxed);
        i32::try_from(number).ok().filter(|number| *number != 0)
    }

    /// Never asked.
    #[cfg(test)]
    pub fn nothing() -> Asked {
        Asked::with(0)
    }

    /// Asked by that signal.
    #[cfg(test)]
    pub fn with(signal: usize) -> Asked {
        Asked(Arc::new(AtomicUsize::new(signal)))
    }
}
