//! Results → pictures.

use super::summary::{Length, Results, geometric_mean, median};
use crate::error::BenchError;
use plotters::prelude::*;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

const SIZE: (u32, u32) = (960, 420);

/// Colours of the two lengths.
const BLOCK: RGBColor = RGBColor(158, 188, 218);
const COLD: RGBColor = RGBColor(35, 90, 150);

/// All pictures, as SVG elements.
pub(super) fn all(results: &Results) -> Result<Vec<String>, BenchError> {
    let pictures: [fn(&Results, &Area<'_>) -> Drawn; 3] = [sizes, sets, speeds];
    pictures.into_iter().map(|picture| svg(results, picture)).collect()
}

fn svg(results: &Results, picture: fn(&Results, &Area<'_>) -> Drawn) -> Result<String, BenchError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        let problem = |problem: String| BenchError::Plot { problem };
        area.fill(&WHITE).map_err(|error| problem(error.to_string()))?;
        picture(results, &area).map_err(|error| problem(error.to_string()))?;
        area.present().map_err(|error| problem(error.to_string()))?;
    }
    Ok(text)
}

/// Bytes a point of each codec: geometric means over all sets.
fn sizes(results: &Results, area: &Area<'_>) -> Drawn {
    let means = |length: Length| -> Vec<f64> {
        let codecs = 0..results.codecs.len();
        codecs.map(|at| geometric_mean(&results.of(length, at, |f| f.bytes_per_point))).collect()
    };
    let names: Vec<&str> = results.codecs.iter().map(|(name, _)| *name).collect();
    let bars = [
        (slots(results, Length::Block), BLOCK, means(Length::Block)),
        (slots(results, Length::Cold), COLD, means(Length::Cold)),
    ];
    bars_of("Bytes a point, geometric mean of all sets", &names, &bars, area)
}

/// Bytes a point of our cold chunks and of the best rivals in each set.
fn sets(results: &Results, area: &Area<'_>) -> Drawn {
    let names: Vec<&str> = results.sets.iter().map(|set| set.name.as_str()).collect();
    let shown = [
        ("cwhisper", RGBColor(200, 200, 200)),
        ("gorilla-paper", RGBColor(228, 180, 120)),
        ("pco", BLOCK),
        ("cold", COLD),
    ];
    let place = |name: &str| results.codecs.iter().position(|(codec, _)| *codec == name);
    let of = |(name, colour): (&str, RGBColor)| {
        let bytes = results.of(Length::Cold, place(name)?, |figures| figures.bytes_per_point);
        Some((name.to_owned(), colour, bytes))
    };
    let mut bars: Vec<_> = shown.into_iter().filter_map(of).collect();
    if let Some(victoria) = results.victoria() {
        bars.push(("VictoriaMetrics".into(), RGBColor(90, 60, 130), victoria));
    }
    bars_of("Bytes a point at rest, by set", &names, &bars, area)
}

fn slots(results: &Results, length: Length) -> String {
    format!("{} slots", results.slots(length))
}

/// Groups of bars, one group for each name.
fn bars_of(
    title: &str,
    names: &[&str],
    bars: &[(String, RGBColor, Vec<f64>)],
    area: &Area<'_>,
) -> Drawn {
    let most = bars.iter().flat_map(|(_, _, values)| values).copied().fold(0.1, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..names.len() as f64, 0.0..most * 1.1)?;
    let name = |at: &f64| names.get(*at as usize).map_or(String::new(), |name| (*name).to_owned());
    // A label for each name; they stand at its left border.
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(names.len() + 1)
        .x_label_formatter(&name)
        .x_label_offset(SIZE.0 as i32 / (names.len() as i32 + 1) / 2)
        .y_desc("B/point")
        .draw()?;
    let width = 0.8 / bars.len() as f64;
    for (place, (label, colour, values)) in bars.iter().enumerate() {
        let left = move |at: usize| at as f64 + 0.1 + place as f64 * width;
        let bar = |(at, value): (usize, &f64)| {
            Rectangle::new([(left(at), 0.0), (left(at) + width * 0.92, *value)], colour.filled())
        };
        let colour = *colour;
        chart
            .draw_series(values.iter().enumerate().map(bar))?
            .label(label)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}

/// Time to read a point against its bytes, at rest.
fn speeds(results: &Results, area: &Area<'_>) -> Drawn {
    let point = |at: usize| {
        let bytes = results.of(Length::Cold, at, |figures| figures.bytes_per_point);
        let times = results.of(Length::Cold, at, |figures| figures.decode.least_ns);
        (geometric_mean(&bytes), median(&times))
    };
    let points: Vec<_> = (0..results.codecs.len()).map(point).collect();
    let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(0.1, f64::max) * 1.2;
    let mut chart = ChartBuilder::on(area)
        .caption("Reading a point at rest: time against size", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..most(|point| point.0), 0.0..most(|point| point.1))?;
    chart
        .configure_mesh()
        .x_desc("B/point, geometric mean of all sets")
        .y_desc("ns/point, median of all sets")
        .draw()?;
    let named = points.iter().zip(&results.codecs);
    chart.draw_series(named.map(|(point, (name, _))| {
        EmptyElement::at(*point)
            + Circle::new((0, 0), 5, COLD.filled())
            + Text::new((*name).to_owned(), (8, -6), ("sans-serif", 13))
    }))?;
    Ok(())
}
