//! What a function is: the one description from which argument checks, `/functions` and the
//! documentation come.

use super::FunctionError;
use super::args::Call;
use crate::consolidate::Consolidation;
use crate::functions::aggregation::Aggregation;
use crate::series::{Series, Window};
use crate::target::{Argument, ArgumentValue, Literal};
use silverback_engine::schema::AggregationMethod;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Where Grafana's menu shows a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Alias,
    Calculate,
    Combine,
    FilterData,
    FilterSeries,
    Graph,
    Pie,
    Sorting,
    Special,
    Transform,
}

impl Group {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Alias => "Alias",
            Self::Calculate => "Calculate",
            Self::Combine => "Combine",
            Self::FilterData => "Filter Data",
            Self::FilterSeries => "Filter Series",
            Self::Graph => "Graph",
            Self::Pie => "Pie",
            Self::Sorting => "Sorting",
            Self::Special => "Special",
            Self::Transform => "Transform",
        }
    }
}

/// What may be passed for a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    AggFunc,
    AggOrSeriesFunc,
    Any,
    Boolean,
    Date,
    Float,
    Integer,
    Interval,
    IntOrInf,
    IntOrInterval,
    Node,
    NodeOrTag,
    /// One series, of which a pie shows one slice.
    Series,
    SeriesList,
    /// Lists as `mapSeries` makes them.
    SeriesLists,
    Tag,
    Text,
}

impl Kind {
    /// Its name in `/functions`, which Grafana's editor knows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AggFunc => "aggFunc",
            Self::AggOrSeriesFunc => "aggOrSeriesFunc",
            Self::Any => "any",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Interval => "interval",
            Self::IntOrInf => "intOrInf",
            Self::IntOrInterval => "intOrInterval",
            Self::Node => "node",
            Self::NodeOrTag => "nodeOrTag",
            Self::Series => "series",
            Self::SeriesList => "seriesList",
            Self::SeriesLists => "seriesLists",
            Self::Tag => "tag",
            Self::Text => "string",
        }
    }
}

/// A value in the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fixed {
    None,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'static str),
}

/// What a parameter that is listed as an integer does with a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fractions {
    Refused,
    /// It is used as it is; the body reads a float.
    Kept,
    /// The part before the point counts.
    Cut,
}

/// One parameter of a function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    /// A second spelling that is accepted as keyword, and shown in the signature.
    pub(crate) also: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
    /// Whether it takes all remaining positional arguments.
    pub(crate) is_multiple: bool,
    /// What is used when it is left out; [`Fixed::None`] for nothing.
    pub(crate) default: Fixed,
    /// The only texts allowed; empty for any.
    pub(crate) options: &'static [&'static str],
    /// Options that are no texts: listed before those that are.
    pub(crate) other_options: &'static [Fixed],
    /// What becomes of a number between two integers.
    pub(crate) fractions: Fractions,
    /// Which texts are allowed beside the options, though not listed.
    pub(crate) accepts: fn(&str) -> bool,
    /// What an editor offers.
    pub(crate) suggestions: &'static [Fixed],
    /// A default that is listed, where the function itself tells left out from given.
    pub(crate) listed: Option<Fixed>,
    /// A default that the signature shows instead.
    pub(crate) signed: Option<Fixed>,
}

impl Param {
    pub(crate) const fn required(name: &'static str, kind: Kind) -> Self {
        let options: &[&str] = match kind {
            Kind::AggFunc => &Aggregation::NAMES,
            Kind::AggOrSeriesFunc => &CALLBACKS,
            _ => &[],
        };
        let suggestions: &[Fixed] = match kind {
            Kind::IntOrInterval => &WINDOWS,
            _ => &[],
        };
        Self {
            name,
            also: None,
            kind,
            is_required: true,
            is_multiple: false,
            default: Fixed::None,
            options,
            other_options: &[],
            fractions: Fractions::Refused,
            accepts: |_| false,
            suggestions,
            listed: None,
            signed: None,
        }
    }

    pub(crate) const fn optional(name: &'static str, kind: Kind, default: Fixed) -> Self {
        Self { is_required: false, default, ..Self::required(name, kind) }
    }

    pub(crate) const fn multiple(self) -> Self {
        Self { is_multiple: true, ..self }
    }

    /// Listed as required, but this is used when it is left out, as graphite-web does.
    pub(crate) const fn or(self, default: Fixed) -> Self {
        Self { default, ..self }
    }

    pub(crate) const fn also(self, spelling: &'static str) -> Self {
        Self { also: Some(spelling), ..self }
    }

    pub(crate) const fn options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    pub(crate) const fn other_options(self, other_options: &'static [Fixed]) -> Self {
        Self { other_options, ..self }
    }

    pub(crate) const fn accepts(self, accepts: fn(&str) -> bool) -> Self {
        Self { accepts, ..self }
    }

    /// Takes fractions, though integers are listed, as graphite-web does.
    pub(crate) const fn fractions(self, fractions: Fractions) -> Self {
        Self { fractions, ..self }
    }

    /// Lists another default than the one that is used.
    pub(crate) const fn listed(self, default: Fixed) -> Self {
        Self { listed: Some(default), ..self }
    }

    /// Shows another default in the signature than the one that is used.
    pub(crate) const fn signed(self, default: Fixed) -> Self {
        Self { signed: Some(default), ..self }
    }

    pub(crate) const fn suggestions(self, suggestions: &'static [Fixed]) -> Self {
        Self { suggestions, ..self }
    }
}

/// The parameter nearly every function begins with.
pub(crate) const SERIES_LIST: Param = Param::required("seriesList", Kind::SeriesList);
/// `*seriesLists` of the functions that combine all they are given.
pub(crate) const SERIES_LISTS: Param = Param::required("seriesLists", Kind::SeriesList).multiple();
/// An optional xFilesFactor.
pub(crate) const X_FILES_FACTOR: Param = Param::optional("xFilesFactor", Kind::Float, Fixed::None);
/// Methods of `consolidateBy`.
pub(crate) const CONSOLIDATIONS: &[&str] = &Consolidation::NAMES;

/// Suggested widths of moving windows.
const WINDOWS: [Fixed; 8] = [
    Fixed::Integer(5),
    Fixed::Integer(7),
    Fixed::Integer(10),
    Fixed::Text("1min"),
    Fixed::Text("5min"),
    Fixed::Text("10min"),
    Fixed::Text("30min"),
    Fixed::Text("1hour"),
];
/// Suggested intervals of functions that make buckets.
pub(crate) const INTERVALS: &[Fixed] =
    &[Fixed::Text("10min"), Fixed::Text("1h"), Fixed::Text("1d")];
/// Suggested intervals of time shifts.
pub(crate) const SHIFTS: &[Fixed] = &[
    Fixed::Text("1h"),
    Fixed::Text("6h"),
    Fixed::Text("12h"),
    Fixed::Text("1d"),
    Fixed::Text("2d"),
    Fixed::Text("7d"),
    Fixed::Text("14d"),
    Fixed::Text("30d"),
];
/// What the groupBy functions may do with a group: aggregations, and functions of a list.
const CALLBACKS: [&str; 34] = [
    "asPercent",
    "average",
    "averageSeries",
    "averageSeriesWithWildcards",
    "avg",
    "avg_zero",
    "count",
    "countSeries",
    "current",
    "diff",
    "diffSeries",
    "diffSeriesLists",
    "last",
    "max",
    "maxSeries",
    "median",
    "min",
    "minSeries",
    "multiply",
    "multiplySeries",
    "multiplySeriesLists",
    "multiplySeriesWithWildcards",
    "pct",
    "powSeries",
    "range",
    "rangeOf",
    "rangeOfSeries",
    "stddev",
    "stddevSeries",
    "sum",
    "sumSeries",
    "sumSeriesLists",
    "sumSeriesWithWildcards",
    "total",
];

/// Body of a function.
pub(crate) type Body = fn(&mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError>;

/// Which other window a function evaluates its first argument over, for a call whose steps
/// are known; `None` when its arguments do not say.
pub(crate) type OtherWindow = fn(&Lookback<'_>) -> Option<Window>;

/// What [`OtherWindow`] may look at.
#[derive(Debug)]
pub(crate) struct Lookback<'a> {
    /// The second argument of the call as written.
    pub(crate) second: &'a crate::target::Literal,
    /// The window of the call.
    pub(crate) window: Window,
    /// Steps of the series below the call, in seconds.
    pub(crate) steps_s: &'a [i64],
}

/// One function of the render API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function {
    /// Its name, then other names that mean the same.
    pub(crate) names: &'static [&'static str],
    pub(crate) group: Group,
    pub(crate) params: &'static [Param],
    pub(crate) description: &'static str,
    pub(crate) body: Body,
    pub(crate) other_window: Option<OtherWindow>,
}

impl Function {
    /// A function that needs no other window than the one it is called in, or one that only
    /// its body can tell.
    pub(crate) const fn new(
        names: &'static [&'static str],
        group: Group,
        params: &'static [Param],
        description: &'static str,
        body: Body,
    ) -> Self {
        Self { names, group, params, description, body, other_window: None }
    }

    /// What the series that a call of this name is given are to be rolled up by, when its own
    /// result is to be by `asked`: `consolidateBy` decides, what only names series passes it on,
    /// and below all that computes values they are as always.
    pub(crate) fn asks(
        name: &str,
        arguments: &[Argument],
        asked: Option<AggregationMethod>,
    ) -> Option<AggregationMethod> {
        match name {
            "cumulative" => Some(AggregationMethod::Sum),
            "consolidateBy" => {
                let text = arguments.iter().find_map(|argument| match &argument.value {
                    ArgumentValue::Literal(Literal::Text(text)) => Some(text),
                    _ => None,
                });
                Consolidation::named(text?)?.rolled_up()
            }
            _ => asked.filter(|_| Self::named(name).is_some_and(|f| f.group == Group::Alias)),
        }
    }

    /// The function of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        BY_NAME.get(name).copied()
    }

    /// Every name of every function, sorted.
    pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static Self)> {
        BY_NAME.iter().map(|(&name, &function)| (name, function))
    }

    /// `name(seriesList, n=1, *nodes)`, with defaults as Python writes them.
    pub(crate) fn signature(&self, name: &str) -> String {
        let params: Vec<String> = self.params.iter().map(Param::signature).collect();
        format!("{name}({})", params.join(", "))
    }
}

impl Param {
    fn signature(&self) -> String {
        let name = self.also.unwrap_or(self.name);
        match self.signed.unwrap_or(self.default) {
            _ if self.is_multiple => format!("*{name}"),
            Fixed::None if self.is_required => name.to_owned(),
            Fixed::None => format!("{name}=None"),
            Fixed::Bool(true) => format!("{name}=True"),
            Fixed::Bool(false) => format!("{name}=False"),
            Fixed::Integer(integer) => format!("{name}={integer}"),
            Fixed::Float(float) => format!("{name}={}", crate::encode::repr(float)),
            Fixed::Text(text) => format!("{name}='{text}'"),
        }
    }
}

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Function>> = LazyLock::new(|| {
    let tables = super::TABLES.iter().flat_map(|table| table.iter());
    tables.flat_map(|function| function.names.iter().map(move |&name| (name, function))).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        let names: usize =
            super::super::TABLES.iter().flat_map(|t| t.iter()).map(|f| f.names.len()).sum();
        assert_eq!(names, Function::all().count(), "each name is registered once");
        for (name, function) in Function::all() {
            assert!(!function.description.is_empty(), "{name}");
            let count = function.params.len();
            for (index, param) in function.params.iter().enumerate() {
                assert!(!param.is_multiple || index + 1 == count, "{name}: multiple is last");
                assert!(param.options.is_sorted(), "{name}: options are sorted");
            }
        }
    }

    #[test]
    fn consolidate_by_decides_what_is_asked_for() {
        let asks = |call: &str, asked| match crate::target::parse(call).unwrap() {
            crate::target::Expr::Call { name, arguments } => {
                Function::asks(&name, &arguments, asked)
            }
            other => panic!("{other:?} is no call"),
        };
        let (max, sum) = (Some(AggregationMethod::Max), Some(AggregationMethod::Sum));
        assert_eq!(asks("consolidateBy(a,'max')", None), max);
        assert_eq!(asks("consolidateBy(a,consolidationFunc='max')", sum), max);
        assert_eq!(asks("consolidateBy(a,'first')", sum), None);
        assert_eq!(asks("cumulative(a)", max), sum);
        assert_eq!(asks("alias(a,'b')", max), max);
        assert_eq!(asks("alias(a,'b')", None), None);
        assert_eq!(asks("scale(a,-1)", max), None);
        assert_eq!(asks("sumSeries(a)", max), None);
    }

    #[test]
    fn signatures_are_written_as_python_does() {
        let signature = |name: &str| Function::named(name).unwrap().signature(name);
        assert_eq!(signature("keepLastValue"), "keepLastValue(seriesList, limit=inf)");
        assert_eq!(signature("avg"), "avg(*seriesLists)");
        assert_eq!(signature("highest"), "highest(seriesList, n=1, func='average')");
        assert_eq!(
            signature("timeShift"),
            "timeShift(seriesList, timeShift, resetEnd=True, alignDST=False)"
        );
    }
}
