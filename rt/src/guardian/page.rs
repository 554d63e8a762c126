//! The guardian's end of the two pages that it shares with mechos-rt.

use super::logic::{Beat, Fence, News};

/// What the watcher needs of a connection to mechos-rt. None of it waits; only `news` makes a
/// system call.
pub trait Page: Send {
    /// The newest beat.
    fn beat_of_rt(&mut self) -> Beat;
    /// The guardian's own beat.
    fn beat(&mut self);
    /// Puts the fence up, or takes it down.
    fn set_fence(&mut self, fence: Option<Fence>);
    /// Says whether every stop socket is proved.
    fn set_proved(&mut self, proved: bool);
    /// The next message of the page's socket.
    fn news(&mut self) -> Option<News>;
}
