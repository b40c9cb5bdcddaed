//! What the program does when it is called: print something, check something, work on
//! whisper files, or serve.

mod backup;
mod compact;
mod convert;
mod database;
mod delete;
mod dry;
mod export;
mod import;
mod jobs;
mod migrate;
mod remote;
mod repair;
mod restore;
mod serve;
mod snapshot;
mod tools;
mod transfer;
mod verify;
mod whisper;

use self::whisper::{CommandError, complain};
use crate::config::{self, print};
use crate::flags::Flags;
use jiff::Zoned;
use jiff::tz::TimeZone;
use silverback_query_api::admin::NO_RENAME;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Runs the program with the arguments that follow its name.
pub fn run(args: impl IntoIterator<Item = String>) -> ExitCode {
    let args: Vec<String> = args.into_iter().collect();
    if tools::is_command(args.first().map(String::as_str)) {
        return tools::run(args);
    }
    if args.first().is_some_and(|first| first == "rename") {
        complain(&CommandError::Usage(NO_RENAME.to_owned()));
        return ExitCode::from(tools::USAGE);
    }
    if let Some(first) = args.first().filter(|first| !first.starts_with('-')) {
        let commands = tools::COMMANDS.join(", ");
        complain(&CommandError::Usage(format!(
            "{first} is no command: the commands are {commands}; flags begin with -, see --help"
        )));
        return ExitCode::from(tools::USAGE);
    }
    match Flags::read(args) {
        Ok(flags) => obey(&flags),
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // Nobody is left to be told when the terminal is gone.
            let _ = error.print();
            ExitCode::from(code)
        }
    }
}

/// Does what the flags ask for, in go-carbon's order of precedence.
fn obey(flags: &Flags) -> ExitCode {
    let given = |path: &Path| !path.as_os_str().is_empty();
    if flags.version {
        return print_out(&version());
    }
    if given(&flags.cat) {
        return not_available("-cat");
    }
    if given(&flags.print_file_list_cache) {
        return not_available("-print-file-list-cache");
    }
    if flags.config_print_default {
        return print_out(&print::default_toml());
    }
    let loaded = match config::load(Some(flags.config.as_path()).filter(|path| given(path))) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error),
    };
    if flags.check_config {
        return ExitCode::SUCCESS;
    }
    if flags.check_policies > 0 {
        return not_available("-check-policies");
    }
    if flags.daemon {
        return not_available("-daemon");
    }
    serve::run(loaded)
}

/// Two lines, as go-carbon prints them: version and build.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    format!("{version}\nBuild: silverback {version} for {os} on {arch}\n")
}

/// Prints the whole result of a command. It did not succeed when nobody could read it.
fn print_out(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints why the program ends, each line with the time before it, as go-carbon does.
fn fail(reason: &dyn Display) -> ExitCode {
    let now = Zoned::new(crate::logging::line::now(), TimeZone::system());
    let now = now.strftime("%Y/%m/%d %H:%M:%S");
    for line in reason.to_string().lines() {
        // Nobody is left to be told when the terminal is gone.
        let _ = writeln!(io::stderr(), "{now} {line}");
    }
    ExitCode::FAILURE
}

fn not_available(flag: &str) -> ExitCode {
    fail(&format!("{flag} is not available yet in silverback {}", env!("CARGO_PKG_VERSION")))
}
