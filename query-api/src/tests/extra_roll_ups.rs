//! `consolidateBy` over ranges that only coarser archives reach.

use super::{NOW_S, get};
use crate::{Api, Limits, graphite_router};
use axum::Router;
use silverback_engine::clock::ManualClock;
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::{Db, Options};
use silverback_formats::carbon::Point;
use std::sync::Arc;

/// First second of the points.
const BEGIN_S: i64 = NOW_S - 4 * 3600;

/// A value for each ten seconds: mostly small, with a spike in each hour.
fn value(at_s: i64) -> f64 {
    let spike = if at_s % 3600 == 1230 { 1000.0 } else { 0.0 };
    (at_s * 7919 % 101) as f64 + spike + (at_s / 3600) as f64
}

/// Hours of ten seconds and of minutes that are rolled up to averages, and what else is asked.
fn router(folder: &tempfile::TempDir, extra: &str) -> Router {
    let schemas = "[all]\npattern = .*\nretentions = 10s:10m,1m:1h,10m:30d\n";
    let rules = "[all]\npattern = .*\nxFilesFactor = 0\naggregationMethod = average\n";
    let rules = format!("{rules}extraRollUps = {extra}\n");
    let file = |text| RuleFile { name: "rules", text };
    let clock = Arc::new(ManualClock::new(BEGIN_S));
    let mut options = Options::new(folder.path());
    options.schema = Schema::parse(file(schemas.as_bytes()), Some(file(rules.as_bytes()))).unwrap();
    options.clock = Arc::clone(&clock) as _;
    options.background = false;
    let db = Db::open(options).unwrap();
    for at_s in (0..=NOW_S - BEGIN_S).step_by(10) {
        clock.set(BEGIN_S + at_s);
        let point = Point { name: b"a", time_s: BEGIN_S + at_s, value: value(at_s) };
        assert_eq!(db.append(&[point]).unwrap().stored, 1);
        if at_s % 600 == 590 {
            db.seal().unwrap();
            db.expire().unwrap();
        }
    }
    graphite_router(Arc::new(Api::new(db, Limits::default())))
}

/// Known values of a target over all points but the last hour's, two of an hour together.
async fn render(router: &Router, target: &str, parameters: &str) -> Vec<f64> {
    let (from, until) = (BEGIN_S - 1, NOW_S - 3601);
    let target = super::encoded(target);
    let uri = format!("/render?target={target}&from={from}&until={until}&format=json{parameters}");
    let answer = get(router, &uri).await;
    let json: serde_json::Value = serde_json::from_str(answer.ok()).unwrap();
    let points = json[0]["datapoints"].as_array().unwrap();
    points.iter().filter_map(|point| point[0].as_f64()).collect()
}

/// What is told of the points in each stretch of `step_s` seconds.
fn exact(step_s: i64, of: fn(&[f64]) -> f64) -> Vec<f64> {
    let values = (0..3 * 3600).step_by(10).map(value).collect::<Vec<_>>();
    values.chunks(step_s as usize / 10).map(of).collect()
}

fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MIN, f64::max)
}

#[tokio::test]
async fn the_extremes_of_a_long_range_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(&folder, "min,max,sum,last");
    let min = |values: &[f64]| values.iter().copied().fold(f64::MAX, f64::min);
    let sum = |values: &[f64]| values.iter().sum();
    let last = |values: &[f64]| values[values.len() - 1];
    for (method, expected) in [
        ("max", exact(600, max)),
        ("min", exact(600, min)),
        ("sum", exact(600, sum)),
        ("last", exact(600, last)),
    ] {
        let target = format!("consolidateBy(a,'{method}')");
        assert_eq!(render(&router, &target, "").await, expected, "{method}");
        let outside = format!("alias(consolidateBy(aliasByNode(a,0),'{method}'),'x')");
        assert_eq!(render(&router, &outside, "").await, expected, "{outside}");
    }
    assert_eq!(render(&router, "cumulative(a)", "").await, exact(600, sum));
    // A screen has room for six: as graphite-web does, the first incomplete group is left out.
    let few = render(&router, "consolidateBy(a,'max')", "&maxDataPoints=6").await;
    let groups: Vec<f64> = exact(600, max)[2..].chunks(3).map(max).collect();
    assert_eq!(few, groups);
    assert!(few.iter().any(|&value| value > 1000.0), "{few:?}");
}

#[tokio::test]
async fn everything_else_is_by_the_main_method() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (extra, plain) = (router(&folder, "max"), router(&other, ""));
    let targets = [
        "a",
        "consolidateBy(a,'average')",
        "consolidateBy(a,'min')",
        "consolidateBy(scale(a,-1),'max')",
        "consolidateBy(sumSeries(a,a),'max')",
        "maxSeries(a)",
    ];
    for target in targets {
        let (found, expected) =
            (render(&extra, target, "").await, render(&plain, target, "").await);
        assert_eq!((found.len(), found), (18, expected), "{target}");
    }
    let inexact = render(&plain, "consolidateBy(a,'max')", "").await;
    assert_eq!(inexact, render(&plain, "a", "").await);
    let both = render(&extra, "group(consolidateBy(a,'max'),a)", "").await;
    assert_eq!(both, exact(600, max));
}

#[tokio::test]
async fn meta_tells_by_what_a_series_was_rolled_up() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(&folder, "max");
    let meta = get(
        &router,
        &format!(
            "/render?target=a&target={}&from={}&until={}&format=json&meta=true",
            super::encoded("consolidateBy(a,'max')"),
            BEGIN_S - 1,
            NOW_S - 3601
        ),
    )
    .await;
    let json: serde_json::Value = serde_json::from_str(meta.ok()).unwrap();
    let told = |at: usize| json["series"][at]["meta"][0]["consolidator-normfetch"].clone();
    assert_eq!((told(0), told(1)), ("AverageConsolidator".into(), "MaximumConsolidator".into()));
}
