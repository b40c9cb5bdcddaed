//! `/render`: targets over a range of time → series.
//!
//! Parameters become what is wanted, its targets become series, and those become an answer,
//! which is written while it is sent.

use crate::api::Api;
use crate::budget::Held;
use crate::consolidate::limit_points;
use crate::encode::json::{Layout, Points};
use crate::encode::{Answer, Format, Style};
use crate::eval::Evaluator;
use crate::functions::FunctionError;
use crate::params::Params;
use crate::plan::prefetch;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use crate::series::{Series, Window};
use crate::source::Source;
use crate::stats::Stats;
use crate::target::{Expr, parse, resolve};
use crate::time::parse_time;
use jiff::tz::TimeZone;
use silverback_engine::clock;
use std::collections::BTreeMap;

/// What a render request asks for.
#[derive(Debug)]
struct Wanted<'p> {
    /// Targets as written, blank ones left out.
    targets: Vec<&'p str>,
    /// Values for `$` variables of templates.
    templates: BTreeMap<String, String>,
    window: Window,
    now_s: i64,
    x_files_factor: f64,
    format: Format,
    /// Most points a series may show; `None` for all.
    points_max: Option<u64>,
    points: Points,
    layout: Layout,
    callback: Option<String>,
    /// Whether JSON tells what the request took and where each series comes from.
    has_meta: bool,
    zone: TimeZone,
}

/// Answers `/render`.
///
/// # Errors
/// When the request cannot be read, asks for what cannot be done, or passes a limit.
pub fn render(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let begun = clock::monotonic();
    let wanted = Wanted::read(&request.params, api.db.now_s())?;
    let (mut list, stats, held) = wanted.evaluate(api, request)?;
    if let (Format::Json, Some(points_max)) = (wanted.format, wanted.points_max) {
        limit_points(&mut list, points_max);
    }
    let bytes = wanted.format.rendered_bytes(&list, wanted.layout);
    let limit_bytes = api.limits.answer_bytes;
    if bytes > limit_bytes {
        return Err(Refusal::BadRequest(format!(
            "the answer has about {bytes} bytes, more than {limit_bytes} (max-answer-size); ask \
             for fewer series, less time or a smaller maxDataPoints"
        )));
    }
    let stats = Stats {
        answered_series: list.len(),
        answered_points: list.iter().map(Series::shown_len).sum(),
        functions: begun.elapsed().saturating_sub(stats.find + stats.fetch),
        ..stats
    };
    request.took(stats);
    let answer = Answer::new(wanted.format, wanted.style(stats), list, held)?;
    Ok(Reply::new(answer.content_type(), api.desks.body(answer)))
}

impl<'p> Wanted<'p> {
    fn read(params: &'p Params, clock_s: i64) -> Result<Self, Refusal> {
        // An unknown zone is ignored, as graphite-web does.
        let zone = params.last("tz").and_then(|tz| TimeZone::get(tz).ok()).unwrap_or(TimeZone::UTC);
        let time = |name: &str, fallback: &str, now_s: i64| {
            parse_time(params.last(name).unwrap_or(fallback), now_s, &zone)
                .map_err(Refusal::parameters)
        };
        let now_s = time("now", "now", clock_s)?;
        let (from_s, until_s) = (time("from", "-1d", now_s)?, time("until", "now", now_s)?);
        if from_s == until_s {
            return Err(Refusal::parameters("Invalid empty time range"));
        }
        check_cache_timeout(params)?;
        check_graph_type(params)?;
        let format = Format::wanted(params)?;
        let is_pretty = params.last("pretty").is_some_and(|pretty| !pretty.is_empty());
        Ok(Self {
            targets: params.all("target").into_iter().filter(|t| !t.trim().is_empty()).collect(),
            templates: templates(params),
            window: Window { from_s: from_s.min(until_s), until_s: from_s.max(until_s) },
            now_s,
            x_files_factor: x_files_factor(params)?,
            format,
            points_max: points_max(params),
            points: if params.has("noNullPoints") { Points::Known } else { Points::All },
            layout: if is_pretty { Layout::Pretty } else { Layout::Line },
            callback: Style::wanted_callback(params)?,
            has_meta: format == Format::Json && params.last("meta") == Some("true"),
            zone,
        })
    }

    fn style(self, stats: Stats) -> Style {
        let Self { points, layout, callback, zone, .. } = self;
        Style { points, layout, callback, zone, stats: Some(stats).filter(|_| self.has_meta) }
    }

    /// The series of all targets, in order; what they took, and the memory they hold.
    fn evaluate(
        &self,
        api: &Api,
        request: &Request,
    ) -> Result<(Vec<Series>, Stats, Held), Refusal> {
        let exprs: Vec<Expr> =
            self.targets.iter().map(|target| self.parse(target)).collect::<Result<_, _>>()?;
        let mut source = Source::new(api, request, self.now_s);
        if self.has_meta {
            source = source.traced();
        }
        prefetch(&mut source, &exprs, self.window)?;
        let mut evaluator = Evaluator::new(source, self.zone.clone(), self.x_files_factor);
        let mut list = Vec::new();
        for expr in &exprs {
            let series = evaluator.eval(expr, self.window).map_err(|error| match error {
                FunctionError::Input(reason) => self.refused(reason),
                FunctionError::Stopped(refusal) => refusal,
            })?;
            list.extend(series);
        }
        let (stats, held) = evaluator.source.finish(&list)?;
        Ok((list, stats, held))
    }

    fn parse(&self, target: &str) -> Result<Expr, Refusal> {
        let expr = parse(target).map_err(Refusal::parameters)?;
        resolve(expr, &self.templates).map_err(|error| self.refused(error.to_string()))
    }

    fn refused(&self, reason: String) -> Refusal {
        let targets = self.targets.join(", ");
        Refusal::BadRequest(format!("Invalid parameters ({reason}); targets: \"{targets}\""))
    }
}

fn templates(params: &Params) -> BTreeMap<String, String> {
    let named = params.iter().filter_map(|(name, value)| {
        let variable = name.strip_prefix("template[")?.strip_suffix(']')?;
        Some((variable.to_owned(), value.to_owned()))
    });
    named.collect()
}

fn x_files_factor(params: &Params) -> Result<f64, Refusal> {
    let Some(text) = params.last("xFilesFactor") else { return Ok(0.0) };
    text.trim()
        .parse()
        .map_err(|_| Refusal::parameters(format!("could not convert string to float: '{text}'")))
}

/// Digits only; anything else, and zero, means all points.
fn points_max(params: &Params) -> Option<u64> {
    let text = params.last("maxDataPoints")?;
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits {
        return None;
    }
    // More digits than a number has are more points than a series has.
    text.parse().ok().filter(|&points| points > 0)
}

/// Nothing is cached here, but a wrong value is a mistake to tell.
fn check_cache_timeout(params: &Params) -> Result<(), Refusal> {
    match params.last("cacheTimeout") {
        Some(text) if text.trim().parse::<i64>().is_err() => {
            Err(Refusal::parameters(format!("invalid literal for int() with base 10: '{text}'")))
        }
        _ => Ok(()),
    }
}

/// Lines are what the data formats hold; a pie is always an image.
fn check_graph_type(params: &Params) -> Result<(), Refusal> {
    match params.last("graphType") {
        None | Some("line") => Ok(()),
        Some("pie") => {
            Err(Refusal::parameters("graphType=pie is an image, and images are not drawn"))
        }
        Some(other) => Err(Refusal::parameters(format!(
            "Invalid graphType '{other}', must be one of ['line', 'pie']"
        ))),
    }
}
