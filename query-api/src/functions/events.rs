//! Events as a series: how many there were in each second.

use super::FunctionError;
use super::args::Call;
use super::registry::{Function, Group, Kind, Param};
use crate::consolidate::Consolidation;
use crate::routes::events::Wanted;
use crate::series::Series;

pub(super) const FUNCTIONS: [Function; 1] = [Function::new(
    &["events"],
    Group::Special,
    &[Param::required("tags", Kind::Text).multiple()],
    "The number of events in each second, of those that have all the tags; `*` stands for any \
     event.",
    events,
)];

fn events(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let tags = call.texts(0);
    let shown: Vec<String> = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
    let name = format!("events({})", shown.join(", "));
    let is_any = tags.len() == 1 && tags[0] == "*";
    let wanted = if is_any { Wanted::Any } else { Wanted::All(tags.into_iter().collect()) };
    let window = call.window;
    let seconds = window.until_s.saturating_sub(window.from_s).max(0);
    let seconds = usize::try_from(seconds).unwrap_or(usize::MAX);
    call.evaluator.source.reserve(seconds)?;
    let mut counts = vec![f64::NAN; seconds];
    for stored in call.evaluator.source.events(window) {
        call.evaluator.source.check()?;
        if wanted.holds(&stored.event) {
            let count = &mut counts[(stored.event.time_s - window.from_s) as usize];
            *count = if count.is_nan() { 1.0 } else { *count + 1.0 };
        }
    }
    let series = call.built(name, window.from_s, 1, counts);
    Ok(vec![Series { consolidation: Consolidation::Sum, is_integer: true, ..series }])
}
