//! `/functions`: what the render API can compute, from the one table of functions.

use crate::api::Api;
use crate::encode::json::{JsonWriter, Layout};
use crate::encode::repr;
use crate::functions::pie;
use crate::functions::registry::{Fixed, Function, Param};
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use crate::routes::json_text::wrapped;
use axum::http::Method;
use std::collections::BTreeMap;

type Listing = BTreeMap<&'static str, &'static Function>;

/// Answers `/functions` with the list of functions, `/functions/NAME` with one entry.
///
/// # Errors
/// When there is no function of that name, `jsonp` is no name, or the method is not GET.
pub fn functions(_: &Api, request: &Request) -> Result<Reply, Refusal> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(Refusal::WrongMethod);
    }
    let params = &request.params;
    let below = request.path.trim_end_matches('/').rsplit_once("/functions/");
    let name = below.map(|(_, name)| name);
    let is_pretty = params.last("pretty").is_some_and(|pretty| !pretty.is_empty());
    let mut json = JsonWriter::new(if is_pretty { Layout::Pretty } else { Layout::Line });
    let all: Vec<(&'static str, &'static Function)> = match params.last("type") {
        Some("pie") => {
            pie::FUNCTIONS.iter().map(|function| (function.names[0], function)).collect()
        }
        _ => Function::all().collect(),
    };
    match name {
        Some(name) => match all.into_iter().find(|(found, _)| *found == name) {
            Some((name, function)) => write_function(&mut json, name, function),
            None => return Err(Refusal::NoSuchFunction(name.to_owned())),
        },
        None => {
            let wanted = params.last("group");
            let in_group = |function: &Function| wanted.is_none_or(|g| function.group.name() == g);
            let listed = all.into_iter().filter(|(_, function)| in_group(function));
            if matches!(params.last("grouped"), Some("1" | "true")) {
                write_groups(&mut json, listed);
            } else {
                write_listing(&mut json, &listed.collect());
            }
        }
    }
    let text = String::from_utf8(json.finish()).expect("JSON is written in ASCII");
    wrapped(text, "application/json", request)
}

fn write_groups(
    json: &mut JsonWriter,
    listed: impl Iterator<Item = (&'static str, &'static Function)>,
) {
    let mut groups: BTreeMap<&str, Listing> = BTreeMap::new();
    for (name, function) in listed {
        groups.entry(function.group.name()).or_default().insert(name, function);
    }
    json.open(b'{');
    for (group, listing) in &groups {
        json.key(group);
        write_listing(json, listing);
    }
    json.close(b'}');
}

fn write_listing(json: &mut JsonWriter, listing: &Listing) {
    json.open(b'{');
    for (name, function) in listing {
        json.key(name);
        write_function(json, name, function);
    }
    json.close(b'}');
}

fn write_function(json: &mut JsonWriter, name: &str, function: &Function) {
    json.open(b'{');
    json.key("name");
    json.text(name);
    json.key("function");
    json.text(&function.signature(name));
    json.key("description");
    json.text(function.description);
    json.key("module");
    // Clients of graphite-web expect its module path.
    json.text("graphite.render.functions");
    json.key("group");
    json.text(function.group.name());
    json.key("params");
    json.open(b'[');
    function.params.iter().for_each(|param| write_param(json, param));
    json.close(b']');
    json.close(b'}');
}

fn write_param(json: &mut JsonWriter, param: &Param) {
    json.open(b'{');
    json.key("name");
    json.text(param.name);
    json.key("type");
    json.text(param.kind.name());
    if param.is_required {
        json.key("required");
        json.raw("true");
    } else {
        let default = param.listed.unwrap_or(param.default);
        if default != Fixed::None {
            json.key("default");
            write_fixed(json, default);
        }
    }
    if param.is_multiple {
        json.key("multiple");
        json.raw("true");
    }
    if !param.options.is_empty() {
        json.key("options");
        json.open(b'[');
        param.other_options.iter().for_each(|&option| write_fixed(json, option));
        param.options.iter().for_each(|option| json.text(option));
        json.close(b']');
    }
    if !param.suggestions.is_empty() {
        json.key("suggestions");
        json.open(b'[');
        param.suggestions.iter().for_each(|&suggestion| write_fixed(json, suggestion));
        json.close(b']');
    }
    json.close(b'}');
}

fn write_fixed(json: &mut JsonWriter, fixed: Fixed) {
    match fixed {
        Fixed::None => json.raw("null"),
        Fixed::Bool(boolean) => json.raw(if boolean { "true" } else { "false" }),
        Fixed::Integer(integer) => json.raw(&integer.to_string()),
        // The only spelling of infinity that both JSON and Grafana read.
        Fixed::Float(float) if float.is_infinite() => json.raw("1e9999"),
        Fixed::Float(float) => json.raw(&repr(float)),
        Fixed::Text(text) => json.text(text),
    }
}
