//! `/render/`: the values of series, as they are stored. Functions are the front end's work.

use super::consolidation_func;
use super::find::{Malformed, find_one};
use super::format::Format;
use super::proto_json;
use crate::api::Api;
use crate::budget::Held;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use crate::stats::Stats;
use silverback_engine::{FetchRange, Fetched, NodeKind, SeriesId, SeriesInfo, clock};
use silverback_formats::reply::protobuf_v3::MultiFetchRequest;
use silverback_formats::reply::{Message, absent_as_nan, pickle, protobuf_v2, protobuf_v3};
use std::sync::Arc;
use std::time::Duration;

/// Answers `/render/`.
///
/// # Errors
/// On missing or bad parameters, when there is no series in the answer, and on passed limits.
pub fn render(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let Some(format) = Format::of(request, Some(Format::Json)) else {
        return Err(Refusal::BadRequest("Bad request: Unknown format".into()));
    };
    let targets = targets(request, format)?;
    if targets.is_empty() {
        return Err(Refusal::BadRequest("Bad request (no target)".into()));
    }
    // What the series and their text hold is counted until the text is written; then it counts
    // alone.
    let (series, mut held) = fetch_all(api, request, &targets)?;
    if series.is_empty() {
        return nothing(api, format);
    }
    held.add(series.iter().map(|series| series.written_bytes(format)).sum())?;
    let body = match format {
        Format::Json => proto_json::fetches(&v2(series)).into_bytes(),
        Format::Pickle => pickled(&series),
        Format::V2 => v2(series).encode_to_vec(),
        Format::V3 => v3(series).encode_to_vec(),
    };
    Ok(Reply::new(format.content_type(), body))
}

/// The answer without a series. graphite-web takes a node out of service for a minute on every
/// status but 200, so pickle is never refused.
fn nothing(api: &Api, format: Format) -> Result<Reply, Refusal> {
    match format {
        Format::Pickle => Ok(Reply::new(format.content_type(), pickled(&[]))),
        _ if !api.options.empty_result_ok => Err(Refusal::NotFound("Bad request (Not Found)")),
        Format::Json => Ok(Reply::new(format.content_type(), "{}")),
        Format::V2 | Format::V3 => Ok(Reply::new("application/text", "")),
    }
}

/// One target and its range, Unix seconds.
struct Target {
    pattern: Vec<u8>,
    path_expression: Arc<[u8]>,
    from_s: i64,
    until_s: i64,
}

fn targets(request: &Request, format: Format) -> Result<Vec<Target>, Refusal> {
    if format == Format::V3 {
        let body = MultiFetchRequest::decode(&request.body[..]).map_err(|error| {
            Refusal::BadRequest(format!("Bad request: invalid payload: {error}"))
        })?;
        let targets = body.metrics.into_iter().map(|metric| Target {
            pattern: metric.name,
            path_expression: metric.path_expression.into(),
            from_s: metric.start_time,
            until_s: metric.stop_time,
        });
        return Ok(targets.collect());
    }
    let (from_s, until_s) = (time(request, "from")?, time(request, "until")?);
    let targets = request.params.all("target").into_iter().map(|target| Target {
        pattern: target.as_bytes().to_vec(),
        path_expression: target.as_bytes().into(),
        from_s,
        until_s,
    });
    Ok(targets.collect())
}

/// Decimal Unix seconds; front ends resolve every other form of time.
fn time(request: &Request, name: &str) -> Result<i64, Refusal> {
    let time_s = request.params.last(name).and_then(|text| text.parse().ok());
    time_s.ok_or_else(|| Refusal::BadRequest(format!("Bad request: invalid '{name}' time")))
}

/// A series of the answer.
struct Series {
    info: SeriesInfo,
    path_expression: Arc<[u8]>,
    fetched: Fetched,
    from_s: i64,
    until_s: i64,
}

impl Series {
    /// One step after the last value, Unix seconds.
    fn stop_s(&self) -> i64 {
        self.fetched.start_s + i64::from(self.fetched.step_s) * self.fetched.values.len() as i64
    }

    /// Bytes that it takes in an answer, about.
    fn written_bytes(&self, format: Format) -> usize {
        let value_bytes = match format {
            // The digits of a value, its comma, and whether it is absent.
            Format::Json => 28,
            Format::Pickle | Format::V2 => 9,
            Format::V3 => 8,
        };
        value_bytes * self.fetched.values.len() + self.info.name.len() + self.path_expression.len()
    }
}

/// Fetches every leaf that a target matches, target by target. A malformed target counts as one
/// that matches nothing as long as another one is not malformed.
fn fetch_all(
    api: &Api,
    request: &Request,
    targets: &[Target],
) -> Result<(Vec<Series>, Held), Refusal> {
    let begun = clock::monotonic();
    let mut find = Duration::ZERO;
    let now_s = api.db.now_s();
    let mut budget = Budget::new(api);
    let mut all = Vec::new();
    let mut malformed = Vec::new();
    for target in targets {
        let finding = clock::monotonic();
        let limits = request.find_limits(api);
        let found = find_one(api, &limits, &target.pattern)?;
        find += finding.elapsed();
        let nodes = match found {
            Ok(nodes) => nodes,
            Err(Malformed(text)) => {
                malformed.push(text);
                continue;
            }
        };
        for node in nodes {
            let NodeKind::Leaf(id) = node.kind else { continue };
            request.check(api.limits.request_timeout)?;
            if let Some(series) = fetch(api, target, id, now_s) {
                request.note(&series.fetched);
                budget.spend(&series)?;
                all.push(series);
            }
        }
    }
    if malformed.len() == targets.len() {
        let errors = malformed.join(" ");
        let reason = format!("Bad request (find failed, can't expand globs: [{errors}])");
        return Err(Refusal::BadRequest(reason));
    }
    let points = api.limits.rendered_points - budget.points;
    request.took(Stats {
        patterns: targets.len(),
        series: all.len(),
        points,
        answered_series: all.len(),
        answered_points: points,
        find,
        fetch: begun.elapsed().saturating_sub(find),
        functions: Duration::ZERO,
    });
    Ok((all, budget.held))
}

/// The values of one series; `None` outside of what it keeps, and when it was deleted since it
/// was found.
fn fetch(api: &Api, target: &Target, id: SeriesId, now_s: i64) -> Option<Series> {
    let range = FetchRange { from_s: target.from_s, until_s: target.until_s, now_s };
    let fetched = api.db.fetch(id, range).ok()??;
    let (from_s, until_s) = (target.from_s, target.until_s);
    let path_expression = Arc::clone(&target.path_expression);
    Some(Series { info: api.db.info(id)?, path_expression, fetched, from_s, until_s })
}

/// What one request may still fetch.
struct Budget<'a> {
    api: &'a Api,
    series: usize,
    points: usize,
    names_bytes: usize,
    /// The memory of what was fetched, of that of all requests.
    held: Held,
}

impl<'a> Budget<'a> {
    fn new(api: &'a Api) -> Self {
        let held = api.budget.nothing();
        let (series, points) = (api.limits.rendered_series, api.limits.rendered_points);
        Self { api, series, points, names_bytes: 0, held }
    }

    fn spend(&mut self, series: &Series) -> Result<(), Refusal> {
        let limits = &self.api.limits;
        self.series = self.series.checked_sub(1).ok_or_else(|| {
            let limit = limits.rendered_series;
            Refusal::BadRequest(format!(
                "Bad request (more than {limit} series: max-metrics-rendered)"
            ))
        })?;
        self.points = self.points.checked_sub(series.fetched.values.len()).ok_or_else(|| {
            let limit = limits.rendered_points;
            Refusal::BadRequest(format!("Bad request (more than {limit} points: max-points)"))
        })?;
        let points = limits.rendered_points - self.points;
        self.names_bytes += size_of::<Series>() + series.info.name.len();
        self.held.set(points.saturating_mul(size_of::<f64>()).saturating_add(self.names_bytes))
    }
}

fn v3(series: Vec<Series>) -> protobuf_v3::MultiFetchResponse {
    let metrics = series.into_iter().map(|series| protobuf_v3::FetchResponse {
        stop_time: series.stop_s(),
        path_expression: series.path_expression.to_vec(),
        consolidation_func: consolidation_func(series.info.policy.method).into(),
        start_time: series.fetched.start_s,
        step_time: series.fetched.step_s.into(),
        x_files_factor: series.info.policy.x_files_factor,
        values: absent_as_nan(series.fetched.values),
        request_start_time: series.from_s,
        request_stop_time: series.until_s,
        name: series.info.name,
        high_precision_timestamps: false,
        applied_functions: Vec::new(),
    });
    protobuf_v3::MultiFetchResponse { metrics: metrics.collect() }
}

/// v2 has 31-bit times: one that does not fit is past the year 2038 and is cut to the last.
fn v2(series: Vec<Series>) -> protobuf_v2::MultiFetchResponse {
    let narrow = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    let metrics = series.into_iter().map(|series| {
        let (start_s, stop_s) = (series.fetched.start_s, series.stop_s());
        let mut values = series.fetched.values;
        let is_absent: Vec<bool> = values.iter().map(|value| value.is_nan()).collect();
        values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
        protobuf_v2::FetchResponse {
            name: series.info.name,
            start_time: narrow(start_s),
            stop_time: narrow(stop_s),
            step_time: narrow(series.fetched.step_s.into()),
            values,
            is_absent,
        }
    });
    protobuf_v2::MultiFetchResponse { metrics: metrics.collect() }
}

fn pickled(series: &[Series]) -> Vec<u8> {
    let mut writer = pickle::Writer::new();
    writer.begin_list();
    for series in series {
        writer.begin_dict();
        writer.text(b"name");
        writer.text(&series.info.name);
        writer.text(b"pathExpression");
        writer.text(&series.path_expression);
        writer.text(b"start");
        writer.int(series.fetched.start_s);
        writer.text(b"end");
        writer.int(series.stop_s());
        writer.text(b"step");
        writer.int(series.fetched.step_s.into());
        writer.text(b"consolidationFunc");
        writer.text(consolidation_func(series.info.policy.method).as_bytes());
        writer.text(b"xFilesFactor");
        writer.float(series.info.policy.x_files_factor.into());
        writer.text(b"values");
        writer.begin_list();
        for &value in &series.fetched.values {
            if value.is_nan() {
                writer.none();
            } else {
                writer.float(value);
            }
        }
        writer.end_list();
        writer.end_dict();
    }
    writer.end_list();
    writer.finish()
}
