//! `/info/`: the rules that series are kept by. Names are literal here, no globs.

use super::consolidation_func;
use super::format::Format;
use super::proto_json;
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use silverback_engine::SeriesInfo;
use silverback_formats::reply::Message;
use silverback_formats::reply::protobuf_v3::{
    MetricsInfoResponse, MultiGlobRequest, MultiMetricsInfoResponse, Retention,
};

/// Answers `/info/`.
///
/// # Errors
/// On an unknown format, without a name, and when one of the names is not a series.
pub fn info(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let format = Format::of(request, Some(Format::Json));
    let Some(format) = format.filter(|&format| format != Format::Pickle) else {
        return Err(Refusal::BadRequest("Bad request (unsupported format)".into()));
    };
    let names = names(request, format)?;
    if names.is_empty() {
        return Err(Refusal::NotFound("Not Found"));
    }
    // v2 can carry the answer for one name only.
    let names = if format == Format::V2 { &names[..1] } else { &names[..] };
    let infos = names.iter().map(|name| {
        let info = api.db.series(name).and_then(|id| api.db.info(id));
        info.map(message).ok_or(Refusal::NotFound("Metric not found"))
    });
    let response = MultiMetricsInfoResponse { metrics: infos.collect::<Result<_, _>>()? };
    let body = match format {
        Format::Json => proto_json::infos(&response).into_bytes(),
        Format::V2 => response.metrics[0].encode_to_vec(),
        Format::V3 | Format::Pickle => response.encode_to_vec(),
    };
    Ok(Reply::new(format.content_type(), body))
}

fn names(request: &Request, format: Format) -> Result<Vec<Vec<u8>>, Refusal> {
    if format == Format::V3 {
        let body = MultiGlobRequest::decode(&request.body[..]).map_err(|error| {
            Refusal::BadRequest(format!("Bad request: invalid payload: {error}"))
        })?;
        return Ok(body.metrics);
    }
    Ok(request.params.all("target").into_iter().map(|name| name.as_bytes().to_vec()).collect())
}

fn message(info: SeriesInfo) -> MetricsInfoResponse {
    let retentions = info.policy.archives.iter().map(|archive| Retention {
        seconds_per_point: archive.step_s.into(),
        number_of_points: archive.points.into(),
    });
    MetricsInfoResponse {
        consolidation_func: consolidation_func(info.policy.method).into(),
        max_retention: info.policy.reach_s(),
        x_files_factor: info.policy.x_files_factor,
        retentions: retentions.collect(),
        name: info.name,
    }
}
