//! The formats that a render may be answered in, and which one a request asks for.

use super::json::{Layout, Points};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::routes::json_text::{is_function_name, not_a_function};
use crate::series::Series;
use crate::stats::Stats;
use jiff::tz::TimeZone;

/// A format of `/render`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
    Raw,
    Pickle,
    Msgpack,
    Dygraph,
    Rickshaw,
}

/// What a request says about how its answer is written.
#[derive(Debug)]
pub(crate) struct Style {
    /// Which points JSON shows.
    pub(crate) points: Points,
    pub(crate) layout: Layout,
    /// Function that the JSON formats are wrapped in a call of; never empty.
    pub(crate) callback: Option<String>,
    /// Zone that CSV writes times in.
    pub(crate) zone: TimeZone,
    /// What the request took, when JSON is to tell that and where each series comes from.
    pub(crate) stats: Option<Stats>,
}

impl Style {
    /// The callback that the parameters name, which counts only beside a format.
    ///
    /// # Errors
    /// When it is not a function's name: anything else could run as a script.
    pub(crate) fn wanted_callback(params: &Params) -> Result<Option<String>, Refusal> {
        let name = params.last("jsonp").filter(|name| params.has("format") && !name.is_empty());
        match name {
            Some(name) if !is_function_name(name) => Err(not_a_function(name)),
            name => Ok(name.map(str::to_owned)),
        }
    }
}

const SERVED: &str = "json, csv, raw, pickle, msgpack, dygraph, rickshaw";

impl Format {
    /// The format that the parameters name: `format`, else `rawData` or `pickle` with any value,
    /// else JSON.
    ///
    /// # Errors
    /// When it is an image, or no format.
    pub(crate) fn wanted(params: &Params) -> Result<Self, Refusal> {
        let Some(name) = params.last("format") else {
            return Ok(match (params.has("rawData"), params.has("pickle")) {
                (true, _) => Self::Raw,
                (false, true) => Self::Pickle,
                (false, false) => Self::Json,
            });
        };
        Ok(match name {
            "json" => Self::Json,
            "csv" => Self::Csv,
            "raw" => Self::Raw,
            "pickle" => Self::Pickle,
            "msgpack" => Self::Msgpack,
            "dygraph" => Self::Dygraph,
            "rickshaw" => Self::Rickshaw,
            "png" | "svg" | "pdf" => {
                return Err(Refusal::parameters(format!(
                    "format '{name}' is an image, and images are not drawn; formats are {SERVED}"
                )));
            }
            _ => {
                return Err(Refusal::parameters(format!(
                    "Unknown format '{name}'; formats are {SERVED}"
                )));
            }
        })
    }

    /// At most about how many bytes the answer has.
    pub(crate) fn rendered_bytes(self, list: &[Series], layout: Layout) -> usize {
        list.iter().map(|series| self.series_bytes(series, layout)).fold(0, usize::saturating_add)
    }

    /// At most about how many bytes of the answer one series takes.
    pub(crate) fn series_bytes(self, series: &Series, layout: Layout) -> usize {
        let indent = if layout == Layout::Pretty { 64 } else { 0 };
        let (values, name) = (series.values.len(), series.name.len());
        let tags = || series.tags.iter().map(|(tag, value)| tag.len() + value.len() + 8);
        match self {
            Self::Json => values * (24 + indent) + name + tags().sum::<usize>() + 50,
            // The name stands in every line, and a quote in it is written twice.
            Self::Csv => values.saturating_mul(2 * name + 44),
            Self::Rickshaw => values * (36 + indent) + name + 50,
            Self::Dygraph => values * 36 + name,
            Self::Raw | Self::Pickle | Self::Msgpack => {
                values * 24 + name + series.path_expression.len() + 200
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_named_before_it_is_hinted_at() {
        let wanted = |query: &str| Format::wanted(&Params::parse(Some(query), b""));
        assert_eq!(wanted(""), Ok(Format::Json));
        assert_eq!(wanted("rawData=false"), Ok(Format::Raw));
        assert_eq!(wanted("pickle="), Ok(Format::Pickle));
        assert_eq!(wanted("pickle=1&rawData=1&format=csv"), Ok(Format::Csv));
        for image in ["png", "svg", "pdf"] {
            let refusal = wanted(&format!("format={image}")).unwrap_err().to_string();
            assert!(refusal.contains("images are not drawn"), "{refusal}");
        }
        assert!(wanted("format=bogus").unwrap_err().to_string().contains("'bogus'"));
    }
}
