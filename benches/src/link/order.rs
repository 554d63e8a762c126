//! What the measuring process tells its peer: who they are, then one order after the other.

use super::exchange::Rounds;
use super::item::Item;
use super::peer::{Message, WORDS};
use super::record::Check;
use crate::failure::Failure;

/// The first message, with the descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Keeps runs on one host apart.
    pub run: u64,
    /// The peer's processor.
    pub core: usize,
    /// Whether it is to ask for a real-time priority.
    pub real_time: bool,
    /// How much of the content is checked.
    pub check: Check,
}

impl Setup {
    /// As a message.
    #[must_use]
    pub fn message(&self) -> Message {
        let core = u64::try_from(self.core).unwrap_or(u64::MAX);
        [self.run, core, u64::from(self.real_time), u64::from(self.check == Check::Content)]
    }

    /// Of a message.
    pub fn of([run, core, real_time, content]: Message) -> Result<Setup, Failure> {
        let core = usize::try_from(core).map_err(|_| Failure::Disagreement("a processor"))?;
        let check = if content == 1 { Check::Content } else { Check::Number };
        Ok(Setup { run, core, real_time: real_time == 1, check })
    }
}

/// What is measured next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub item: Item,
    /// How many.
    pub rounds: Rounds,
    /// Counts up from order to order, from 1.
    pub sequence: u64,
}

impl Order {
    /// As a message.
    #[must_use]
    pub fn message(&self) -> Message {
        [self.item.number(), self.rounds.warm, self.rounds.kept, self.sequence]
    }

    /// Of a message; none: the end.
    pub fn of(message: Message) -> Result<Option<Order>, Failure> {
        let [item, warm, kept, sequence] = message;
        if message == [u64::MAX; WORDS] {
            return Ok(None);
        }
        let item = Item::of(item).ok_or(Failure::Disagreement("an item's number"))?;
        Ok(Some(Order { item, rounds: Rounds { warm, kept }, sequence }))
    }

    /// The first number of its own: values and signals of one order are never those of another.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.sequence << 32
    }

    /// The signal that everything was received.
    #[must_use]
    pub fn all_there(&self) -> u64 {
        self.base() | 0xffff_ffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_give_back_what_they_were_made_of() {
        let setup = Setup { run: 7, core: 3, real_time: true, check: Check::Content };
        assert_eq!(Setup::of(setup.message()).unwrap(), setup);
        let order = Order { item: Item::Pipe, rounds: Item::Pipe.rounds(), sequence: 9 };
        assert_eq!(Order::of(order.message()).unwrap(), Some(order));
        assert_eq!(Order::of([u64::MAX; WORDS]).unwrap(), None);
        assert!(Order::of([99, 0, 0, 0]).is_err());
    }
}
