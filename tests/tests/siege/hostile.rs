//! The hostile process as the siege sees it: started, heard, turned to another attack, ended.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use mechos_tests::machine::PATIENCE;

use crate::ORDER;
use crate::attack::Attack;
use crate::besieger::{Order, SAYS};

/// The hostile process as its parent sees it.
pub struct Hostile {
    child: Child,
    said: Receiver<String>,
}

impl Hostile {
    /// Starts it.
    pub fn start(order: &Order) -> Hostile {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hostile_process", "--test-threads", "1", "--nocapture"])
            .env(ORDER, serde_json::to_string(order).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let word = line.strip_prefix(SAYS).map(str::to_owned);
                if word.is_some_and(|word| sender.send(word).is_err()) {
                    break;
                }
            }
        });
        Hostile { child, said }
    }

    /// What it says, if anything, within that time; it must not end.
    pub fn heard(&self, within: Duration) -> Option<String> {
        match self.said.recv_timeout(within) {
            Ok(word) => Some(word),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the hostile process found a fault"),
        }
    }

    /// Waits for a word.
    pub fn hear(&self, word: &str) {
        assert_eq!(self.heard(PATIENCE).as_deref(), Some(word));
    }

    /// Another attack from now on.
    pub fn turn_to(&mut self, attack: Attack) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{}", serde_json::to_string(&attack).unwrap()).unwrap();
    }

    /// Killed, or asked to leave.
    pub fn end(mut self, kill: bool) {
        match kill {
            true => self.child.kill().unwrap(),
            false => drop(self.child.stdin.take()),
        }
        let status = self.child.wait().unwrap();
        assert!(kill || status.success(), "the hostile process found a fault: {status}");
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
