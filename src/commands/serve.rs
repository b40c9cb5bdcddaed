//! Serving: start, say where, obey signals, stop.

use crate::config::keys::Status;
use crate::config::{self, Config, Loaded};
use crate::logging;
use crate::server::{Listening, Server, Service};
use crate::signals::{Request, Signals};
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Exit code of a stop that a second INT cut short, as a shell shows death by INT.
const INTERRUPTED: i32 = 130;

/// Serves until a signal asks to stop.
pub(super) fn run(loaded: Loaded) -> ExitCode {
    if let Err(error) = logging::install(&loaded.config.logging) {
        return super::fail(&format!("{}: {error}", loaded.config.name()));
    }
    log_notices(&loaded.config);
    match runtime(loaded.config.threads) {
        Ok(runtime) => {
            let code = runtime.block_on(serve(loaded));
            // Nobody waits for the answer to a request whose work is not done by now.
            runtime.shutdown_background();
            code
        }
        Err(error) => super::fail(&format!("threads cannot be started: {error}")),
    }
}

/// A runtime of so many threads; one per core is the default and the most.
fn runtime(threads: Option<usize>) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    builder.worker_threads(threads.unwrap_or(cores).min(cores));
    builder.enable_all().build()
}

async fn serve(loaded: Loaded) -> ExitCode {
    // Before the listeners, so that whoever sees them may signal at once.
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return super::fail(&format!("signals cannot be listened to: {error}")),
    };
    let place = loaded.config.storage_path.clone();
    let mut server = match Server::start(loaded).await {
        Ok(server) => server,
        Err(error) => {
            tracing::error!(target: "main", "start failed: {error}");
            return super::fail(&error);
        }
    };
    tracing::info!(target: "main", version = env!("CARGO_PKG_VERSION"), "started");
    // Serving goes on when nobody reads standard output.
    let own = &server.config().graph_prefix;
    let text = announcement(server.listening(), &place.display(), own);
    let _ = io::stdout().write_all(text.as_bytes());
    let mut code = loop {
        tokio::select! {
            request = signals.next() => match request {
                Request::Reload => reload(&mut server),
                Request::Stop(signal) => {
                    tracing::info!(target: "main", signal, "stopping");
                    break ExitCode::SUCCESS;
                }
            },
            service = server.ended() => {
                tracing::error!(target: "main", service, "ended by itself, stopping");
                break ExitCode::FAILURE;
            }
        }
    };
    let stopped = tokio::select! {
        stopped = server.stop() => stopped,
        () = signals.interrupted() => {
            tracing::warn!(target: "main", "stop cut short by a second INT");
            std::process::exit(INTERRUPTED);
        }
    };
    match stopped {
        Ok(()) => tracing::info!(target: "main", "stopped"),
        Err(error) => {
            tracing::error!(target: "main", "stopped, but closing failed: {error}");
            code = super::fail(&error);
        }
    }
    code
}

/// Reads the configuration anew and applies what can be; keeps everything on any mistake.
fn reload(server: &mut Server) {
    let Some(file) = server.config().file.clone() else {
        tracing::info!(target: "main", "started without a configuration file: nothing to reload");
        return;
    };
    match config::load(Some(&file)) {
        Ok(loaded) => {
            let kept = server.reload(loaded);
            if !kept.is_empty() {
                let keys = kept.join(", ");
                tracing::warn!(target: "main", keys, "changed keys that need a restart");
            }
            tracing::info!(target: "main", "config reloaded");
        }
        Err(error) => {
            for problem in &error.0 {
                tracing::error!(target: "main", "config reload failed: {problem}");
            }
        }
    }
}

/// Says once which keys of the file do not do what its author may expect.
fn log_notices(config: &Config) {
    let settings = &config.settings;
    let later = settings.given_with(Status::Later);
    if !later.is_empty() {
        let keys = later.join(", ");
        tracing::warn!(target: "main", keys, "keys that are not acted on yet");
    }
    let without_effect = settings.given_with(Status::NoEffect);
    if !without_effect.is_empty() {
        let keys = without_effect.join(", ");
        tracing::info!(target: "main", keys, "keys without an effect here");
    }
    if !settings.unknown.is_empty() {
        let keys = settings.unknown.join(", ");
        tracing::warn!(target: "main", keys, "unknown keys");
    }
    let common = settings.table("common");
    if !common.text("logfile").is_empty() || !common.text("log-level").is_empty() {
        tracing::warn!(
            target: "main",
            "logfile and log-level of [common] are deprecated and replace all [[logging]]"
        );
    }
    if let Some(user) = &config.user {
        tracing::info!(target: "main", user, "user exists; it is not changed to");
    }
    if let Some(endpoint) = &config.remote_metric_endpoint {
        tracing::warn!(
            target: "main",
            endpoint,
            "own metrics are stored here; sending them elsewhere is not available yet"
        );
    }
}

/// What is printed when the server is ready: a line per listener, for programs too, then
/// for people how to send a point and see it.
fn announcement(listening: &[Listening], place: &dyn Display, own: &str) -> String {
    let mut text = String::new();
    for Listening { service, address } in listening {
        text.push_str(&format!("listening {service} {address}\n"));
    }
    text.push_str(&format!("data in {place}\n"));
    let reach = |wanted| {
        let found = listening.iter().find(|listening| listening.service == wanted);
        found.map(|listening| reachable(listening.address))
    };
    if let Some(carbon) = reach(Service::CarbonTcp) {
        let (host, port) = (carbon.ip(), carbon.port());
        text.push_str(&format!(
            "send a point: echo \"test.answer 42 $(date +%s)\" | nc -w 1 {host} {port}\n"
        ));
    }
    if let Some(api) = reach(Service::GraphiteApi) {
        text.push_str(&format!(
            "see it: http://{api}/render?target=test.answer&from=-10min&format=json\n\
             see the server's own metrics: \
             http://{api}/render?target={own}.*&from=-10min&format=json\n"
        ));
    }
    text
}

/// An address that a client on this machine can use.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

#[cfg(test)]
mod tests {
    use super::announcement;
    use crate::server::{Listening, Service};

    #[test]
    fn the_announcement_shows_addresses_that_can_be_used() {
        let listening = [
            Listening { service: Service::CarbonTcp, address: "[::]:2003".parse().unwrap() },
            Listening { service: Service::GraphiteApi, address: "127.0.0.1:8081".parse().unwrap() },
        ];
        let expected = "listening carbon-tcp [::]:2003\n\
            listening graphite-api 127.0.0.1:8081\n\
            data in folder\n\
            send a point: echo \"test.answer 42 $(date +%s)\" | nc -w 1 127.0.0.1 2003\n\
            see it: http://127.0.0.1:8081/render?target=test.answer&from=-10min&format=json\n\
            see the server's own metrics: \
            http://127.0.0.1:8081/render?target=own.*&from=-10min&format=json\n";
        assert_eq!(announcement(&listening, &"folder", "own"), expected);
        assert_eq!(announcement(&[], &"x", "own"), "data in x\n");
    }
}
