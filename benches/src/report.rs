//! Figures → table or JSON.

use crate::error::{BenchError, Trying};
use std::io::Write;

/// How a report is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One object a line and figure.
    JsonLines,
}

/// What was measured, in the order in which it was first measured.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Figure>);

#[derive(Debug)]
struct Figure {
    subject: String,
    measure: String,
    unit: &'static str,
    /// One a run.
    values: Vec<f64>,
}

impl Report {
    /// Adds what one run found.
    pub(crate) fn add(
        &mut self,
        subject: &str,
        measure: impl Into<String>,
        unit: &'static str,
        value: f64,
    ) {
        let measure = measure.into();
        let same = |figure: &&mut Figure| figure.subject == subject && figure.measure == measure;
        match self.0.iter_mut().find(same) {
            Some(figure) => figure.values.push(value),
            None => {
                let subject = subject.to_owned();
                self.0.push(Figure { subject, measure, unit, values: vec![value] });
            }
        }
    }

    /// Prints all figures to standard output.
    pub(crate) fn print(&self, format: Format) -> Result<(), BenchError> {
        let text = match format {
            Format::Table => self.table(),
            Format::JsonLines => self.json_lines(),
        };
        std::io::stdout().write_all(text.as_bytes()).trying("standard output")
    }

    fn table(&self) -> String {
        let width =
            |text: fn(&Figure) -> &str| self.0.iter().map(|f| text(f).len()).max().unwrap_or(0);
        let subject_width = width(|figure| &figure.subject);
        let measure_width = width(|figure| &figure.measure);
        let unit_width = width(|figure| figure.unit);
        let rows = self.0.iter().map(|figure| {
            let Figure { subject, measure, unit, .. } = figure;
            let Spread { median, least, most } = figure.spread();
            let (median, least, most) = (shown(median), shown(least), shown(most));
            format!(
                "{subject:subject_width$}  {measure:measure_width$}  {unit:unit_width$}  \
                 {median:>10}  ({least} .. {most})\n"
            )
        });
        rows.collect()
    }

    fn json_lines(&self) -> String {
        let rows = self.0.iter().map(|figure| {
            let Spread { median, least, most } = figure.spread();
            let row = serde_json::json!({
                "subject": figure.subject,
                "measure": figure.measure,
                "unit": figure.unit,
                "median": median,
                "min": least,
                "max": most,
                "runs": figure.values.len(),
            });
            format!("{row}\n")
        });
        rows.collect()
    }
}

struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Figure {
    fn spread(&self) -> Spread {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len() - 1;
        let median = f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)]);
        Spread { median, least: sorted[0], most: sorted[last] }
    }
}

/// A number with about three digits that say something.
fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn runs_of_one_figure_become_one_row() {
        let mut report = Report::default();
        for value in [3.0, 1.0, 200.0] {
            report.add("a", "cpu", "us/point", value);
        }
        report.add("bb", "rate", "points/s", 12.34);
        assert_eq!(
            report.table(),
            "a   cpu   us/point       3.000  (1.000 .. 200)\n\
             bb  rate  points/s        12.3  (12.3 .. 12.3)\n"
        );
        let first = r#"{"max":200.0,"measure":"cpu","median":3.0,"min":1.0,"runs":3,"#;
        assert!(report.json_lines().starts_with(first), "{}", report.json_lines());
        report.add("bb", "rate", "points/s", 14.34);
        assert!(report.table().contains("13.3  (12.3 .. 14.3)"));
    }
}
