//! Results → one HTML file, with its pictures inside.

use super::plots;
use super::summary::Results;
use super::tables::{self, Table};
use crate::error::BenchError;

const STYLE: &str = "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:80em;padding:0 1em}\
    table{border-collapse:collapse;margin:1em 0;display:block;overflow-x:auto}\
    th,td{border:1px solid #ccc;padding:.2em .5em;text-align:right}\
    th:first-child,td:first-child{text-align:left}svg{max-width:100%;height:auto}";

/// The whole page.
pub(super) fn html(results: &Results) -> Result<String, BenchError> {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Compression</title>\
         <style>{STYLE}</style></head><body>\n<h1>Compression</h1>\n<p>{}</p>\n",
        escaped(&tables::about(results))
    );
    for picture in plots::all(results)? {
        text += &picture;
    }
    tables::tables(results).iter().for_each(|table| text += &table_html(table));
    text += "<h2>Codecs</h2>\n<dl>";
    for (name, about) in &results.codecs {
        text += &format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(about));
    }
    text += "</dl>\n</body></html>\n";
    Ok(text)
}

fn table_html(table: &Table) -> String {
    let mut text = format!("<h2>{}</h2>\n<table>\n", escaped(&table.title));
    for (at, row) in table.rows.iter().enumerate() {
        let tag = if at == 0 { "th" } else { "td" };
        let cells = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)));
        text += &format!("<tr>{}</tr>\n", cells.collect::<String>());
    }
    text + "</table>\n"
}

/// Text that means nothing to HTML: names of sets come from files.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
