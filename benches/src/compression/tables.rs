//! Results → Markdown.

use super::summary::{Length, Results, geometric_mean, median};
use crate::peer::VictoriaMetrics;
use std::fmt::Write;

/// A table as rows of cells; the first row is the head.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) title: String,
    pub(super) rows: Vec<Vec<String>>,
}

/// The whole report.
pub(super) fn markdown(results: &Results) -> String {
    let mut text = String::from("# Compression\n\n");
    text += &about(results);
    for table in tables(results) {
        let _ = write!(text, "\n## {}\n\n", table.title);
        for (at, row) in table.rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
            if at == 0 {
                let _ = writeln!(text, "|---|{}", "---:|".repeat(row.len() - 1));
            }
        }
    }
    text += "\n## Codecs\n\n| codec | what |\n|---|---|\n";
    for (name, about) in &results.codecs {
        let _ = writeln!(text, "| {name} | {about} |");
    }
    text
}

/// Text that ends no cell: names of sets come from files.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace(char::is_control, " ")
}

/// What the figures mean.
pub(super) fn about(results: &Results) -> String {
    let points: usize = results.sets.iter().map(|set| set.points).sum();
    format!(
        "{} sets, {points} points. Bytes a point count everything that is needed to read a stretch \
         alone: to codecs that know no times, what our chunk takes for its start and its holes is \
         added. Times are processor time a point, the least of all passes. Every codec gave every \
         value back bit for bit; {} rounds what has more than about twelve digits.\n",
        results.sets.len(),
        VictoriaMetrics::PROGRAM,
    )
}

/// All tables of figures.
pub(super) fn tables(results: &Results) -> Vec<Table> {
    let mut tables = Vec::new();
    for (length, name) in [(Length::Block, "a block"), (Length::Cold, "at rest")] {
        let slots = results.slots(length);
        tables.push(bytes(results, length, format!("Bytes a point, {name}: {slots} slots")));
        let title = format!("Encode / decode, ns a point, {name}: {slots} slots");
        tables.push(times(results, length, title));
    }
    tables
}

fn head(results: &Results, mean: &[&str]) -> Vec<String> {
    let sets = results.sets.iter().map(|set| set.name.as_str());
    ["codec"].into_iter().chain(sets).chain(mean.iter().copied()).map(str::to_owned).collect()
}

fn bytes(results: &Results, length: Length, title: String) -> Table {
    let victoria = results.victoria();
    let peer = victoria.as_deref();
    let mut means = vec!["mean", "geo. mean"];
    means.extend(peer.map(|_| "÷ VM"));
    means.extend(peer.map(|_| "worst ÷ VM"));
    let mut rows = vec![head(results, &means)];
    let row = |name: &str, numbers: &[f64]| {
        let mut row = vec![name.to_owned()];
        row.extend(numbers.iter().map(|number| format!("{number:.3}")));
        row.push(format!("{:.3}", numbers.iter().sum::<f64>() / numbers.len() as f64));
        row.push(format!("{:.3}", geometric_mean(numbers)));
        if let Some(peer) = peer {
            let ratios: Vec<f64> =
                numbers.iter().zip(peer).map(|(ours, peer)| ours / peer).collect();
            row.push(format!("{:.3}", geometric_mean(&ratios)));
            row.push(format!("{:.3}", ratios.iter().copied().fold(0.0, f64::max)));
        }
        row
    };
    for (at, (name, _)) in results.codecs.iter().enumerate() {
        rows.push(row(name, &results.of(length, at, |figures| figures.bytes_per_point)));
    }
    if let Some(peer) = peer {
        rows.push(row(VictoriaMetrics::PROGRAM, peer));
    }
    Table { title, rows }
}

fn times(results: &Results, length: Length, title: String) -> Table {
    let mut rows = vec![head(results, &["median"])];
    for (at, (name, _)) in results.codecs.iter().enumerate() {
        let encode = results.of(length, at, |figures| figures.encode.least_ns);
        let decode = results.of(length, at, |figures| figures.decode.least_ns);
        let cell = |encode: f64, decode: f64| format!("{encode:.0} / {decode:.1}");
        let mut row = vec![(*name).to_owned()];
        row.extend(encode.iter().zip(&decode).map(|(encode, decode)| cell(*encode, *decode)));
        row.push(cell(median(&encode), median(&decode)));
        rows.push(row);
    }
    Table { title, rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_no_cell() {
        assert_eq!(escaped("a|b\nc"), "a\\|b c");
    }
}
