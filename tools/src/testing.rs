//! What tests share: folders of their own, and a socket that answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use mechos_operator::{Command, Reply, Request, encode_line};

/// A folder with mode 0700 that goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("mechos-tools-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Serves a socket in the folder with what `answer` gives; hands out what was asked.
pub fn serve(
    folder: &Folder,
    socket: &str,
    answer: impl Fn(Request) -> Reply + Send + 'static,
) -> Receiver<Command> {
    let listener = UnixListener::bind(folder.path().join(socket)).unwrap();
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in lines.map_while(Result::ok) {
                let request: Request = serde_json::from_str(&line).unwrap();
                let _ = sender.send(request.command.clone());
                if stream.write_all(&encode_line(&answer(request)).unwrap()).is_err() {
                    break;
                }
            }
        }
    });
    asked
}
