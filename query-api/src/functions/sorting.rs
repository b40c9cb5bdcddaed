//! Functions that order a list.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;

const REVERSE: Param = Param::optional("reverse", Kind::Boolean, Fixed::Bool(false));

pub(super) const FUNCTIONS: [Function; 5] = [
    Function {
        names: &["sortBy"],
        group: Group::Sorting,
        params: &[
            SERIES_LIST,
            Param::optional("func", Kind::AggFunc, Fixed::Text("average")),
            REVERSE,
        ],
        description: "Sorts series by a function of their values, smallest first.",
        body: |call| {
            let (aggregation, _) = call.aggregation(1);
            let order = if call.boolean(2) { Order::Descending } else { Order::Ascending };
            Ok(sorted(call.take_series(0), aggregation, order))
        },
        other_window: None,
    },
    Function {
        names: &["sortByTotal"],
        group: Group::Sorting,
        params: &[SERIES_LIST],
        description: "Sorts series by the sum of their values, largest first.",
        body: |call| Ok(sorted(call.take_series(0), Aggregation::Sum, Order::Descending)),
        other_window: None,
    },
    Function {
        names: &["sortByMaxima"],
        group: Group::Sorting,
        params: &[SERIES_LIST],
        description: "Sorts series by their largest value, largest first.",
        body: |call| Ok(sorted(call.take_series(0), Aggregation::Max, Order::Descending)),
        other_window: None,
    },
    Function {
        names: &["sortByMinima"],
        group: Group::Sorting,
        params: &[SERIES_LIST],
        description: "Sorts series by their smallest value, smallest first, and leaves out those \
                      that are never above zero.",
        body: sort_by_minima,
        other_window: None,
    },
    Function {
        names: &["sortByName"],
        group: Group::Sorting,
        params: &[
            SERIES_LIST,
            Param::optional("natural", Kind::Boolean, Fixed::Bool(false)),
            REVERSE,
        ],
        description: "Sorts series by name; with natural, numbers in names by their value.",
        body: sort_by_name,
        other_window: None,
    },
];

/// Which end of a sorted list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// The list sorted by an aggregate, equal ones in their old order; series without values
/// count as the smallest.
pub(super) fn sorted(list: Vec<Series>, aggregation: Aggregation, order: Order) -> Vec<Series> {
    sorted_by(list, |series| aggregation.of(&series.values), order)
}

/// The list sorted by a number, likewise.
pub(super) fn sorted_by(
    list: Vec<Series>,
    number: impl Fn(&Series) -> f64,
    order: Order,
) -> Vec<Series> {
    let rank = |series: &Series| {
        let value = number(series);
        // Adding zero makes one of both zeros.
        if value.is_nan() { f64::NEG_INFINITY } else { value + 0.0 }
    };
    let mut ranked: Vec<(f64, Series)> = list.into_iter().map(|s| (rank(&s), s)).collect();
    match order {
        Order::Ascending => ranked.sort_by(|(a, _), (b, _)| a.total_cmp(b)),
        Order::Descending => ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a)),
    }
    ranked.into_iter().map(|(_, series)| series).collect()
}

fn sort_by_minima(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let mut list = call.take_series(0);
    list.retain(|series| Aggregation::Max.of(&series.values) > 0.0);
    Ok(sorted(list, Aggregation::Min, Order::Ascending))
}

fn sort_by_name(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let is_natural = call.boolean(1);
    let is_reverse = call.boolean(2);
    let key = |series: &Series| {
        if is_natural { padded(&series.name) } else { series.name.clone() }
    };
    let mut list = call.take_series(0);
    if is_reverse {
        list.sort_by_cached_key(|series| std::cmp::Reverse(key(series)));
    } else {
        list.sort_by_cached_key(key);
    }
    Ok(list)
}

/// A name in which every number has at least ten digits.
fn padded(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 20);
    let mut rest = name;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (text, number) = rest.split_at(start);
        let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        out.push_str(text);
        out.extend(std::iter::repeat_n('0', 10_usize.saturating_sub(end)));
        out.push_str(&number[..end]);
        rest = &number[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn numbers_sort_by_value() {
        assert_eq!(padded("a2.b"), "a0000000002.b");
        assert!(padded("server9") < padded("server10"));
        assert_eq!(padded("12345678901x"), "12345678901x");
    }
}
