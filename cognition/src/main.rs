//! `mechos-cognition`: the planner's process.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use mechos_cognition::embedded::Embedded;
use mechos_cognition::model::Model;
use mechos_cognition::model::endpoint::{Bounds, Endpoint};
use mechos_cognition::model::key::ApiKey;
use mechos_cognition::planner::Planner;
use mechos_cognition::shm::Connector;
use mechos_cognition::supervise;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use tracing::error;
use tracing_subscriber::EnvFilter;

/// The environment variable that may hold the endpoint's key.
const KEY_VARIABLE: &str = "MECHOS_API_KEY";
/// The task of a model that was given none.
const TASK: &str = "Show a pick and place: move to a pick pose, then to a place pose on the other \
                    side, then home, moving every axis, again and again.";

/// Plans motion and asks mechos-rt for it.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The runtime directory that mechos-rt uses.
    #[arg(long, value_name = "DIR")]
    runtime: PathBuf,
    /// Who plans.
    #[arg(long, value_enum, default_value_t = Who::Embedded)]
    planner: Who,
    /// Which agent asks, for mechos-rt's capabilities.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..64))]
    agent: u16,
    /// The model's OpenAI-compatible endpoint on this host, plain http.
    #[arg(long, value_name = "URL", required_if_eq("planner", "model"))]
    endpoint: Option<String>,
    /// The model's name at the endpoint.
    #[arg(long, value_name = "NAME", required_if_eq("planner", "model"))]
    model: Option<String>,
    /// What the model is to do.
    #[arg(long, value_name = "TEXT", default_value = TASK)]
    task: String,
    /// A file with the endpoint's key, readable by its owner only. Without it the environment's
    /// MECHOS_API_KEY is used, and without that no key.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Longest time to connect to the endpoint, s.
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = seconds())]
    connect_timeout: u64,
    /// Longest silence of the endpoint, s.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = seconds())]
    read_timeout: u64,
    /// Longest whole call to the endpoint, s.
    #[arg(long, value_name = "S", default_value_t = 90, value_parser = seconds())]
    call_timeout: u64,
    /// Log lines as JSON.
    #[arg(long)]
    log_json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Who {
    /// A pick, place and home task; needs nothing installed.
    Embedded,
    /// A language model behind an OpenAI-compatible endpoint.
    Model,
}

fn seconds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=3600)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr(arguments.log_json);
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let end = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, end.clone())?;
    }
    let planner: Box<dyn Planner> = match arguments.planner {
        Who::Embedded => Box::new(Embedded::default()),
        Who::Model => Box::new(model(arguments)?),
    };
    let connector = Connector::new(&arguments.runtime);
    signal_hook::flag::register(SIGUSR1, connector.leave())?;
    supervise::run(connector, planner, arguments.agent, &end)?;
    Ok(())
}

fn model(arguments: &Arguments) -> Result<Model, Box<dyn std::error::Error>> {
    let (Some(address), Some(name)) = (&arguments.endpoint, &arguments.model) else {
        return Err("--planner model needs --endpoint and --model".into());
    };
    let bounds = Bounds {
        connect: Duration::from_secs(arguments.connect_timeout),
        read: Duration::from_secs(arguments.read_timeout),
        call: Duration::from_secs(arguments.call_timeout),
        ..Bounds::default()
    };
    let endpoint = Endpoint::new(address, key(arguments)?, bounds)?;
    Ok(Model::new(endpoint, name.clone(), arguments.task.clone()))
}

fn key(arguments: &Arguments) -> Result<Option<ApiKey>, Box<dyn std::error::Error>> {
    if let Some(path) = &arguments.api_key_file {
        return Ok(Some(ApiKey::from_file(path)?));
    }
    match std::env::var(KEY_VARIABLE) {
        Ok(text) => Ok(Some(ApiKey::from_text(&text, KEY_VARIABLE)?)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        // The error's own text would repeat the bytes.
        Err(_) => Err(format!("{KEY_VARIABLE} is not text").into()),
    }
}

fn log_to_stderr(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        builder.json().init();
    } else {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        builder.with_ansi(terminal).init();
    }
}
