//! Times as the scripts print them: seconds, or by a format in local time.

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What `ctime` of C prints.
const CTIME: &str = "%a %b %e %H:%M:%S %Y";

/// How times are printed.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct TimeStyle {
    /// Times in words, in local time, not in Unix seconds
    #[arg(long)]
    pretty: bool,
    /// With --pretty: how, as in strftime
    #[arg(short = 't', long, value_name = "FORMAT", requires = "pretty")]
    time_format: Option<String>,
}

impl TimeStyle {
    /// A time, in Unix seconds, in this style.
    pub(super) fn show(&self, time_s: i64) -> String {
        if !self.pretty {
            return time_s.to_string();
        }
        let format = self.time_format.as_deref().unwrap_or(CTIME);
        let local = Timestamp::from_second(time_s).map(|time| time.to_zoned(TimeZone::system()));
        let shown = local.and_then(|local| jiff::fmt::strtime::format(format, &local));
        shown.unwrap_or_else(|_| time_s.to_string())
    }
}
