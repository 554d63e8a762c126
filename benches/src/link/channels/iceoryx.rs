//! iceoryx2, polled: a service a direction, loaned samples, nothing ever lost.

use std::fmt;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{
    BackpressureStrategy, LogLevel, Node, NodeBuilder, SignalHandlingMode, ipc, set_log_level,
};

use crate::failure::Failure;
use crate::link::exchange::Channel;
use crate::link::record::Side;

/// Samples that may wait.
const WAITING_MAX: usize = 64;

type Service = ipc::Service;

/// One end of two services.
pub struct Iceoryx<const N: usize> {
    publisher: Publisher<Service, [u64; N], ()>,
    subscriber: Subscriber<Service, [u64; N], ()>,
    /// Ends after the ports.
    _node: Node<Service>,
}

impl<const N: usize> fmt::Debug for Iceoryx<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iceoryx").finish_non_exhaustive()
    }
}

impl<const N: usize> Iceoryx<N> {
    /// The end of `side`; `run` keeps runs on one host apart.
    pub fn new(run: u64, side: Side) -> Result<Self, Failure> {
        // Its warnings about a configuration file that is not there say nothing here.
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new()
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<Service>()
            .map_err(Failure::library("an iceoryx2 node"))?;
        let service = |direction: &str| {
            let name = format!("mechos/benches/{run}/{N}/{direction}");
            let name = name.as_str().try_into().map_err(Failure::library("an iceoryx2 name"))?;
            node.service_builder(&name)
                .publish_subscribe::<[u64; N]>()
                .enable_safe_overflow(false)
                .subscriber_max_buffer_size(WAITING_MAX)
                .max_publishers(1)
                .max_subscribers(1)
                .open_or_create()
                .map_err(Failure::library("an iceoryx2 service"))
        };
        let (there, back) = (service("there")?, service("back")?);
        let (out, inward) = match side {
            Side::Near => (there, back),
            Side::Far => (back, there),
        };
        let publisher = out
            .publisher_builder()
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .map_err(Failure::library("an iceoryx2 publisher"))?;
        let subscriber = inward
            .subscriber_builder()
            .buffer_size(WAITING_MAX)
            .create()
            .map_err(Failure::library("an iceoryx2 subscriber"))?;
        Ok(Iceoryx { publisher, subscriber, _node: node })
    }
}

impl<const N: usize> Channel for Iceoryx<N> {
    type Record = [u64; N];

    #[inline]
    fn send(&mut self, record: &[u64; N]) -> Result<bool, Failure> {
        let sample = self.publisher.loan_uninit().map_err(Failure::library("an iceoryx2 loan"))?;
        sample.write_payload(*record).send().map_err(Failure::library("an iceoryx2 send"))?;
        Ok(true)
    }

    #[inline]
    fn receive(&mut self, record: &mut [u64; N]) -> Result<bool, Failure> {
        let sample = self.subscriber.receive().map_err(Failure::library("an iceoryx2 receive"))?;
        match sample {
            Some(sample) => {
                *record = *sample;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
