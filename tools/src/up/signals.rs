//! The signals that ask `mechos up` to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether, and by which signal, the end was asked for.
#[derive(Clone, Debug)]
pub struct Asked(Arc<AtomicUsize>);

impl Asked {
    /// Watches for Ctrl-C, SIGTERM and the end of the terminal; where wanted for the end of standard
    /// input too, which counts as SIGTERM: a program that holds its other end may die in any way.
    ///
    /// # Errors
    /// The system's.
    pub fn watch(until_stdin_ends: bool) -> io::Result<Asked> {
        let asked = Asked(Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let number = usize::try_from(signal).unwrap_or(0);
            signal_hook::flag::register_usize(signal, Arc::clone(&asked.0), number)?;
        }
        if until_stdin_ends {
            let ended = Arc::clone(&asked.0);
            std::thread::Builder::new().name("stdin".into()).spawn(move || {
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                ended.store(usize::try_from(SIGTERM).unwrap_or(0), Ordering::Relaxed);
            })?;
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
