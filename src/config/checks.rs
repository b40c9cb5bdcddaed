//! What a key's own type cannot say.

use super::problem::Problem;
use super::settings::{Settings, Table};
use super::{cleanup, listener, logging_output};
use std::time::Duration;

/// Line from 1, and what is wrong there.
type Mistake = (Option<usize>, String);

/// All mistakes of this kind.
pub(super) fn all(file: &str, settings: &Settings) -> Vec<Problem> {
    let checks = [block, whisper, prometheus, admin, tcp];
    let mistakes = checks.into_iter().filter_map(|check| check(settings));
    let receivers = settings.tables("receiver").filter_map(receiver);
    let outputs = settings.tables("logging").filter_map(logging);
    let problem = |(line, message)| Problem { file: file.to_owned(), line, message };
    let mut problems: Vec<_> = mistakes.chain(receivers).chain(outputs).map(problem).collect();
    problems.extend(cleanup::options(file, settings, "").err().into_iter().flatten());
    problems
}

fn block(settings: &Settings) -> Option<Mistake> {
    let block = settings.table("block");
    let duration = block.duration("duration");
    let is_allowed = duration.subsec_nanos() == 0 && duration <= Duration::from_secs(86_400);
    let message = format!(
        "[block] duration = \"{}s\": allowed are whole seconds from 1s to 24h",
        duration.as_secs_f64()
    );
    (!is_allowed).then(|| (block.line("duration"), message))
}

fn whisper(settings: &Settings) -> Option<Mistake> {
    let whisper = settings.table("whisper");
    let is_store = settings.table("storage").text("engine") == "whisper";
    let message = "[whisper] enabled = false: points would be kept in memory only: allowed is \
                   true, or engine = \"block\" in [storage], which keeps them in files of its own";
    (is_store && !whisper.flag("enabled")).then(|| (whisper.line("enabled"), message.to_owned()))
}

fn prometheus(settings: &Settings) -> Option<Mistake> {
    let prometheus = settings.table("prometheus");
    let endpoint = prometheus.text("endpoint");
    let message =
        format!("[prometheus] endpoint = {endpoint:?}: allowed is a path that begins with /");
    let is_refused = prometheus.flag("enabled") && !endpoint.starts_with('/');
    is_refused.then(|| (prometheus.line("endpoint"), message))
}

fn admin(settings: &Settings) -> Option<Mistake> {
    let admin = settings.table("admin");
    listener(&admin).filter(|address| !address.is_loopback())?;
    let message = format!(
        "[admin] listen = {:?}: whoever reaches it may delete everything: allowed is an address \
         that only this machine reaches, such as \"127.0.0.1:8082\"",
        admin.text("listen")
    );
    Some((admin.line("listen"), message))
}

/// Read as lines, compressed bytes would be refused one by one and the points lost.
fn tcp(settings: &Settings) -> Option<Mistake> {
    let tcp = settings.table("tcp");
    let compression = tcp.text("compression");
    let message = format!(
        "[tcp] compression = {compression:?}: this version cannot read compressed streams yet: \
         allowed is \"\""
    );
    let is_refused = tcp.flag("enabled") && matches!(compression.as_str(), "gzip" | "snappy");
    is_refused.then(|| (tcp.line("compression"), message))
}

fn receiver(receiver: &Table) -> Option<Mistake> {
    let message = format!(
        "[{}] protocol is not set: allowed are udp, tcp, pickle, protobuf, http, kafka and pubsub",
        receiver.name()
    );
    receiver.given("protocol").is_none().then(|| (receiver.line("protocol"), message))
}

fn logging(table: &Table) -> Option<Mistake> {
    let reason = logging_output(table).err()?;
    let message = format!("[[logging]] file = {:?}: {reason}", table.text("file"));
    Some((table.line("file"), message))
}
