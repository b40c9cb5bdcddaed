//! Command line flags, in the syntax of Go's `flag` package that go-carbon's operators and
//! unit files use: `-config f`, `--config f`, `-config=f`, `-check-config`, `-check-config=1`.
//!
//! The arguments are brought to one form first (`normalize`), then clap reads them.

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};
use std::path::PathBuf;

/// What the program was asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "silverback",
    disable_version_flag = true,
    args_override_self = true,
    about = "Gorilla-compressed time-series storage for Graphite",
    after_help = "Commands, each with --help:\n\
                  \x20 whisper     look into whisper files, make and change them\n\
                  \x20 convert     trees of whisper files to the other kind\n\
                  \x20 import      whisper files into a database\n\
                  \x20 migrate     the same, and move the files away\n\
                  \x20 export      series of a database to whisper files\n\
                  \x20 verify      look for damage, and put it aside with --repair\n\
                  \x20 compact     merge the blocks of a database\n\
                  \x20 delete      delete series\n\
                  \x20 snapshot    a database as it is now, as another folder\n\
                  \x20 backup      copy what is new of a database\n\
                  \x20 restore     put a backup into a folder\n\n\
                  Flags may be written with one dash or two.\n\
                  Without flags: data in ./silverback-data, carbon on 127.0.0.1:2003, \
                  node API on 127.0.0.1:8080, Graphite API on 127.0.0.1:8081."
)]
pub struct Flags {
    /// Configuration file in TOML; go-carbon's are understood
    #[arg(long, value_name = "FILE", value_parser = path(), default_value = "",
          hide_default_value = true)]
    pub config: PathBuf,
    /// Print the default configuration
    #[arg(long, value_parser = go_bool(), num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true",
          hide_default_value = true, hide_possible_values = true)]
    pub config_print_default: bool,
    /// Read configuration and rule files, say what is wrong, and end
    #[arg(long, value_parser = go_bool(), num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true",
          hide_default_value = true, hide_possible_values = true)]
    pub check_config: bool,
    /// Compare this many files a second with the rules (not available yet)
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true)]
    pub check_policies: i64,
    /// With -check-policies: print each file that differs (not available yet)
    #[arg(long, value_parser = go_bool(), num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true",
          hide_default_value = true, hide_possible_values = true)]
    pub print_inconsistent_metrics: bool,
    /// Print the version
    #[arg(long, value_parser = go_bool(), num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true",
          hide_default_value = true, hide_possible_values = true)]
    pub version: bool,
    /// Run in the background (not available yet)
    #[arg(long, value_parser = go_bool(), num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true",
          hide_default_value = true, hide_possible_values = true)]
    pub daemon: bool,
    /// With -daemon: file for the process id (not available yet)
    #[arg(long, value_name = "FILE", value_parser = path(), default_value = "",
          hide_default_value = true)]
    pub pidfile: PathBuf,
    /// Print a dump file of the cache (not available yet)
    #[arg(long, value_name = "FILE", value_parser = path(), default_value = "",
          hide_default_value = true)]
    pub cat: PathBuf,
    /// Print a file list cache (not available yet)
    #[arg(long, value_name = "FILE", value_parser = path(), default_value = "",
          hide_default_value = true)]
    pub print_file_list_cache: PathBuf,
}

impl Flags {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    /// On an unknown flag or a bad value, and when help is asked for: the error says which,
    /// and prints itself.
    pub fn read(args: impl IntoIterator<Item = String>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let with_value: Vec<String> = command
            .get_arguments()
            .filter(|flag| !flag.is_require_equals_set())
            .filter_map(|flag| flag.get_long().map(str::to_owned))
            .collect();
        let args = normalize(args, &with_value)
            .map_err(|message| command.error(ErrorKind::InvalidValue, message))?;
        let name = std::iter::once("silverback".to_owned());
        Self::from_arg_matches(&command.try_get_matches_from(name.chain(args))?)
    }
}

/// A path that may be empty, which is as good as none.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    clap::builder::OsStringValueParser::new().map(PathBuf::from)
}

/// Go's spellings of truth.
fn go_bool() -> impl TypedValueParser<Value = bool> {
    clap::builder::StringValueParser::new().try_map(|text| match text.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("allowed are true and false"),
    })
}

/// Brings flags to the form `--name` or `--name=value`, and drops what follows the last flag,
/// which Go's syntax ignores. Flags `with_value` take the next argument unless they have a `=`.
fn normalize(
    args: impl IntoIterator<Item = String>,
    with_value: &[String],
) -> Result<Vec<String>, String> {
    let mut normal = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some(flag) = arg.strip_prefix('-').filter(|rest| !rest.is_empty()) else { break };
        if flag == "-" {
            break;
        }
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        if flag.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: {arg}"));
        }
        match flag {
            "h" => normal.push("--help".to_owned()),
            flag if with_value.iter().any(|name| name == flag) => {
                let Some(value) = args.next() else {
                    return Err(format!("flag needs an argument: -{flag}"));
                };
                normal.push(format!("--{flag}={value}"));
            }
            flag => normal.push(format!("--{flag}")),
        }
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::Flags;
    use clap::error::ErrorKind;

    fn read(args: &str) -> Result<Flags, ErrorKind> {
        let args = args.split(' ').filter(|arg| !arg.is_empty()).map(str::to_owned);
        Flags::read(args).map_err(|error| error.kind())
    }

    fn none() -> Flags {
        read("").unwrap()
    }

    #[track_caller]
    fn check(args: &str, expected: Flags) {
        assert_eq!(read(args), Ok(expected), "{args:?}");
    }

    #[test]
    fn a_value_in_every_form() {
        for args in ["-config f", "--config f", "-config=f", "--config=f", "-config g -config f"] {
            check(args, Flags { config: "f".into(), ..none() });
        }
        check("-config=a=b", Flags { config: "a=b".into(), ..none() });
        check("-config -version", Flags { config: "-version".into(), ..none() });
        check("-config=", none());
        check("-check-policies 5", Flags { check_policies: 5, ..none() });
        check("-check-policies -5", Flags { check_policies: -5, ..none() });
    }

    #[test]
    fn booleans() {
        for word in ["1", "t", "T", "true", "TRUE", "True"] {
            check(&format!("-version={word}"), Flags { version: true, ..none() });
        }
        for word in ["0", "f", "F", "false", "FALSE", "False"] {
            check(&format!("--version={word}"), none());
        }
        check("-version -version=false", none());
        check("-check-config", Flags { check_config: true, ..none() });
        // A boolean takes no value from the next argument, which then ends the flags.
        check("-check-config false -version", Flags { check_config: true, ..none() });
    }

    #[test]
    fn every_flag_of_go_carbon() {
        let all = Flags {
            config: "a".into(),
            config_print_default: true,
            check_config: true,
            check_policies: 7,
            print_inconsistent_metrics: true,
            version: true,
            daemon: true,
            pidfile: "b".into(),
            cat: "c".into(),
            print_file_list_cache: "d".into(),
        };
        let args = "-config a -config-print-default -check-config -check-policies 7 \
                    -print-inconsistent-metrics -version -daemon -pidfile b -cat c \
                    -print-file-list-cache d";
        check(args, all);
    }

    #[test]
    fn flags_end_at_the_first_other_argument() {
        for args in ["x -version", "-- -version", "- -version"] {
            check(args, none());
        }
    }

    #[test]
    fn mistakes() {
        assert_eq!(read("-nope"), Err(ErrorKind::UnknownArgument));
        assert_eq!(read("-nope=1"), Err(ErrorKind::UnknownArgument));
        assert_eq!(read("-v"), Err(ErrorKind::UnknownArgument));
        assert_eq!(read("-conf x"), Err(ErrorKind::UnknownArgument));
        for args in ["---config x", "-=x", "--=x", "-config", "-version=yes", "-check-policies x"] {
            let kind = read(args).unwrap_err();
            assert!(
                matches!(kind, ErrorKind::InvalidValue | ErrorKind::ValueValidation),
                "{args:?}: {kind:?}"
            );
        }
        assert_eq!(read("-h"), Err(ErrorKind::DisplayHelp));
        assert_eq!(read("-help"), Err(ErrorKind::DisplayHelp));
    }
}
