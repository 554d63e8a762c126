//! The pages of one planner's connection, made before anybody connects.

use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU64;

use crate::codec::description;
use crate::error::MemoryError;
use crate::layout::{IntentPage, PageKind, TelemetryPage};
use crate::memory::{Mapped, Memory, ReadWord};
use crate::records::Description;
use crate::server_end::ServerEnd;
use crate::words::copy_in;

/// The pages of one connection: made, mapped, locked and touched. Every word starts at zero, the
/// stop counters too: a stop that is asked for before the first tick looks is seen as a change.
#[derive(Debug)]
pub struct PageSet {
    generation: u32,
    intent_memory: Memory,
    intent: Mapped<IntentPage<ReadWord>>,
    telemetry_memory: Memory,
    telemetry: Mapped<TelemetryPage<AtomicU64>>,
}

impl PageSet {
    /// New pages for generation `generation`, which must not be 0 and not repeat.
    ///
    /// From here on nobody, this process included, gets another writable mapping of the telemetry
    /// page; the intent page is closed in the same way once the peer has mapped it.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn create(description: &Description, generation: u32) -> Result<PageSet, MemoryError> {
        let intent_memory = Memory::create::<IntentPage<AtomicU64>>("mechos-intent")?;
        {
            let page = intent_memory.map_write::<IntentPage<AtomicU64>>()?;
            page.header.write(PageKind::Intent, generation);
        }
        let intent = intent_memory.map_read()?;
        let telemetry_memory = Memory::create::<TelemetryPage<AtomicU64>>("mechos-telemetry")?;
        let telemetry = telemetry_memory.map_write::<TelemetryPage<AtomicU64>>()?;
        telemetry.header.write(PageKind::Telemetry, generation);
        let mut words = [0; description::WORDS];
        description::put(description, &mut words);
        copy_in(&telemetry.description, &words);
        telemetry_memory.close_for_writing()?;
        Ok(PageSet { generation, intent_memory, intent, telemetry_memory, telemetry })
    }

    /// Its generation.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether both pages are locked into memory (mlock): false without the right to. A process that
    /// called mlockall has them locked all the same.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.intent.is_locked() && self.telemetry.is_locked()
    }

    /// The descriptors as a peer gets them: intent page, telemetry page.
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.intent_memory.descriptor(), self.telemetry_memory.descriptor()]
    }

    /// The peer has mapped: no further writable mapping of the intent page, and no hole in it.
    pub(crate) fn close(self) -> Result<ServerEnd, MemoryError> {
        self.intent_memory.close_for_writing()?;
        // Until now the peer could punch holes, and the control thread would fault them in.
        self.intent.touch_again();
        // The descriptors close here: the peer has its own.
        Ok(ServerEnd::new(self.generation, self.intent, self.telemetry))
    }
}
