//! Functions that graphite-web does not have, and calls that mean harm.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use silverback_engine::clock::ManualClock;
use silverback_engine::{Db, Options};
use silverback_formats::carbon::Point;
use silverback_query_api::{Api, Limits, graphite_router};
use std::sync::Arc;
use tower::ServiceExt;

/// A multiple of a minute.
const NOW_S: i64 = 1_700_000_040;

const N: f64 = f64::NAN;

/// Series with values up to now, one a minute.
const SERIES: &[(&str, &[f64])] = &[
    ("a.up", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
    ("a.down", &[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]),
    ("a.flat", &[2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]),
    ("a.gap", &[1.0, N, 3.0, N, N, 6.0, 7.0, 8.0]),
    ("a.zero", &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    ("a.peak", &[1.0, 1.0, 1.0, 90.0, 1.0, 1.0, 90.0, 1.0]),
    ("marks.9_1", &[N, N, 1.0, N, N, N, N, N]),
    ("marks.10_0", &[N, N, N, N, 1.0, N, N, N]),
    ("v.9.load", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
    ("YWJj.x", &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
];

fn router(folder: &std::path::Path) -> Router {
    let clock = Arc::new(ManualClock::new(NOW_S));
    let db = Db::open(Options { clock, ..Options::new(folder) }).unwrap();
    for (name, values) in SERIES {
        let first_s = NOW_S - 60 * (values.len() as i64 - 1);
        let times = (0..).map(|index| first_s + index * 60);
        let points = times.zip(*values).filter(|(_, value)| !value.is_nan());
        let name = name.as_bytes();
        let points: Vec<Point<'_>> =
            points.map(|(time_s, &value)| Point { name, time_s, value }).collect();
        db.append(&points).unwrap();
    }
    graphite_router(Arc::new(Api::new(db, Limits::default())))
}

const FORM: &str = "application/x-www-form-urlencoded";

async fn ask(router: &Router, target: &str, from: &str) -> (u16, String) {
    let mut form = form_urlencoded::Serializer::new(String::from("format=json&"));
    form.append_pair("target", target).append_pair("from", from);
    let request = Request::post("/render").header("content-type", FORM);
    let request = request.body(Body::from(form.finish())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// Names and values of a good answer.
fn answer(text: &str) -> Vec<(String, Vec<f64>)> {
    let json: Value = serde_json::from_str(text).unwrap();
    let series = json.as_array().unwrap().iter().map(|series| {
        let points = series["datapoints"].as_array().unwrap();
        let values = points.iter().map(|point| point[0].as_f64().unwrap_or(N)).collect();
        (series["target"].as_str().unwrap().to_owned(), values)
    });
    series.collect()
}

fn are_near(a: &[f64], b: &[f64]) -> bool {
    let near = |(a, b): (&f64, &f64)| (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-9;
    a.len() == b.len() && a.iter().zip(b).all(near)
}

/// What a target is to answer over the eight minutes of data.
type Expected<'a> = &'a [(&'a str, &'a [f64])];

#[tokio::test]
async fn functions_of_carbonapi() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path());
    let cases: &[(&str, Expected<'_>)] = &[
        (
            "medianSeries(a.up,a.down,a.flat)",
            &[("medianSeries(a.up,a.down,a.flat)", &[2.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 2.0])],
        ),
        // References beyond the series move nothing.
        (
            "transformNull(summarize(a.gap,'2min','max',true),9,a.flat)",
            &[(
                "transformNull(summarize(a.gap, \"2min\", \"max\", true),9,referenceSeries)",
                &[1.0, 3.0, 6.0, 8.0],
            )],
        ),
        ("count(a.gap,a.up)", &[("countSeries(a.gap,a.up)", &[2., 1., 2., 1., 1., 2., 2., 2.])]),
        ("ewma(a.gap,0.5)", &[("ewma(a.gap,0.5)", &[1.0, N, 2.0, N, N, 4.0, 5.5, 6.75])]),
        (
            "integralWithReset(a.up,keepLastValue(a.zero))",
            &[(
                "integralWithReset(a.up,keepLastValue(a.zero))",
                &[1.0, 3.0, 6.0, 10.0, 15.0, 21.0, 28.0, 36.0],
            )],
        ),
        ("countValues(a.{flat,zero})", &[("0", &[1.0; 8]), ("2", &[1.0; 8])]),
        ("countValues(a.up,2)", &[("error.too.many.values.limit.reached", &[0.0; 8])]),
        (
            "heatMap(a.{up,flat})",
            &[("heatMap(a.up,a.flat)", &[-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])],
        ),
        (
            "pearson(a.up,a.down,3)",
            &[("pearson(a.up,a.down,3)", &[N, N, -1., -1., -1., -1., -1., -1.])],
        ),
        (
            "pearsonClosest(a.up,a.{down,flat,up},1,'neg')",
            &[("a.down", &[8., 7., 6., 5., 4., 3., 2., 1.])],
        ),
        ("lowPass(a.up,50)", &[("lowPass(a.up,50)", &[1.0, 2.0, N, N, N, N, 7.0, 8.0])]),
        (
            "ifft(fft(a.up,'abs'),fft(a.up,'phase'))",
            &[("ifft(fft(a.up,abs),fft(a.up,phase))", &[1., 2., 3., 4., 5., 6., 7., 8.])],
        ),
        ("polyfit(a.gap)", &[("polyfit(a.gap)", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])]),
        (
            "powSeriesLists(a.up,a.flat)",
            &[("powSeries(a.up,a.flat)", &[1.0, 4.0, 9.0, 16.0, 25.0, 36.0, 49.0, 64.0])],
        ),
        ("removeZeroSeries(a.{flat,zero})", &[("a.flat", &[2.0; 8])]),
        ("highestMin(a.{flat,up,zero},1)", &[("a.flat", &[2.0; 8])]),
        ("lowestMax(a.{flat,up},1)", &[("a.flat", &[2.0; 8])]),
        ("tukeyAbove(a.{peak,up,flat},1.5,2)", &[("a.peak", &[1., 1., 1., 90., 1., 1., 90., 1.])]),
        ("tukeyBelow(a.{peak,up,flat},1.5,2)", &[]),
        ("join(a.{up,flat},a.{flat,zero})", &[("a.flat", &[2.0; 8])]),
        ("join(a.{zero,flat},a.{up,flat},'sub')", &[("a.zero", &[0.0; 8])]),
        ("aliasByBase64(YWJj.x,1)", &[("abc.x", &[1.0; 8])]),
        ("toUpperCase(a.flat)", &[("A.FLAT", &[2.0; 8])]),
        (
            "scaleAfterTimestamp(a.flat,10,1699999860)",
            &[("scale(a.flat,10)", &[2.0, 2.0, 2.0, 2.0, 20.0, 20.0, 20.0, 20.0])],
        ),
        ("slo(a.up,'4min','above',3)", &[("slo(a.up, 4min, above, 3)", &[0.25, 1.0])]),
        (
            "sloErrorBudget(a.up,'4min','above',3,0.75)",
            &[("sloErrorBudget(a.up, 4min, above, 3, 0.75)", &[-120.0, 60.0])],
        ),
        (
            "kolmogorovSmirnovTest2(a.up,a.flat,2)",
            &[("kolmogorovSmirnovTest2(a.up,a.flat,2)", &[N, N, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0])],
        ),
        (
            "baseline(a.up,'1min',0,3)",
            &[("baseline(a.up)", &[N, 1.0, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5])],
        ),
        (
            "baselineAberration(a.up,'1min',0,2)",
            &[(
                "baselineAberration(a.up)",
                &[N, 2.0, 1.5, 4.0 / 3.0, 1.25, 1.2, 7.0 / 6.0, 8.0 / 7.0],
            )],
        ),
        (
            "timeShiftByMetric(v.*.load,marks.*,1)",
            &[("timeShiftByMetric(v.9.load)", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])],
        ),
        (
            "movingWindow(a.up,3,'p50')",
            &[("movingP50(a.up,3)", &[1., 1.5, 2., 3., 4., 5., 6., 7.])],
        ),
    ];
    let mut mistakes = Vec::new();
    for (target, expected) in cases {
        let (status, text) = ask(&router, target, "-8min").await;
        let found = if status == 200 { answer(&text) } else { Vec::new() };
        let is_right = status == 200
            && found.len() == expected.len()
            && found.iter().zip(*expected).all(|((name, values), (wanted, column))| {
                name == wanted && are_near(values, column)
            });
        if !is_right {
            mistakes.push(format!("{target}: {status} {text}"));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// Each of these asks for endless time or memory, or for what cannot be computed.
#[tokio::test]
async fn hostile_calls_end() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path());
    let bound = "1000000000";
    let nested = "timeStack(".repeat(20) + "a.up" + &",'1min',0,9)".repeat(20);
    let inner = r#"applyByNode(a.*,0,'applyByNode(%.*,0,"aliasQuery(%.*,x,y,z)")')"#;
    let calls = [
        format!("movingAverage(a.up,{bound})"),
        format!("movingMedian(a.up,'{bound}s')"),
        format!("exponentialMovingAverage(a.up,{bound})"),
        format!("stdev(a.up,{bound})"),
        format!("delay(a.up,{bound})"),
        format!("summarize(a.up,'{bound}y')"),
        format!("smartSummarize(a.up,'{bound}d','sum','years')"),
        format!("hitcount(a.up,'{bound}s',true)"),
        "hitcount(a.up,'-5min')".to_owned(),
        "smartSummarize(a.up,'-5min')".to_owned(),
        format!("timeStack(a.up,'1s',0,{bound})"),
        format!("baseline(a.up,'1s',0,{bound})"),
        format!("timeShift(a.up,'{bound}y')"),
        format!("holtWintersForecast(a.up,'{bound}s','{bound}s')"),
        format!("holtWintersConfidenceBands(a.up,{bound},'1s','1s')"),
        "randomWalk('x',0)".to_owned(),
        "timeFunction('x',-1)".to_owned(),
        format!("polyfit(a.up,1,'{bound}d')"),
        format!("polyfit(a.up,{bound})"),
        format!("pearson(a.up,a.down,{bound})"),
        format!("kolmogorovSmirnovTest2(a.up,a.down,{bound})"),
        format!("countValues(a.up,{bound})"),
        format!("round(a.up,{bound})"),
        format!("round(a.up,-{bound})"),
        "log(a.up,1)".to_owned(),
        "log(a.up,-9223372036854775808)".to_owned(),
        format!("aliasQuery(a.up,'x','y','%{bound}d')"),
        format!("legendValue(a.up,'{}')", "x".repeat(10_000)),
        "aliasSub(a.up,'(a+)+$','b')".to_owned(),
        "useSeriesAbove(a.up,0,'(a|a)*(?=b)\\\\1','x')".to_owned(),
        "seriesByTag('a=~(x+x+)+y')".to_owned(),
        format!("reduceSeries(a.*,'sumSeries',-{bound},'up')"),
        format!("applyByNode(a.*,{bound},'%')"),
        inner.to_owned(),
        nested,
        "aliasSub(".repeat(40) + "a.up" + &r",'(.+)','\1\1')".repeat(40),
        format!("applyByNode(a.up,1,'{}')", "%".repeat(1_000_000)),
    ];
    for call in &calls {
        let (status, text) = ask(&router, call, "-8min").await;
        assert!(status == 200 || status == 400, "{call}: {status} {text}");
        assert!(text.len() < 1 << 20, "{call}: {} bytes", text.len());
    }
    // A window that reaches beyond all data shows the same times as the plain series.
    let (_, plain) = ask(&router, "a.up", "-8min").await;
    let (_, moving) = ask(&router, "movingSum(a.up,1000000000)", "-8min").await;
    let count = |text: &str| answer(text)[0].1.len();
    assert_eq!(count(&plain), count(&moving));
}
