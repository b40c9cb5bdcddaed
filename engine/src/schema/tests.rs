use super::*;
use proptest::prelude::*;

fn parse(schemas: &str, aggregation: &str) -> Result<Schema, String> {
    let schemas = RuleFile { name: "schemas", text: schemas.as_bytes() };
    let aggregation = RuleFile { name: "aggregation", text: aggregation.as_bytes() };
    Schema::parse(schemas, Some(aggregation)).map_err(|errors| errors.to_string())
}

fn storage_section(name: &str, pattern: &str) -> String {
    format!("[{name}]\npattern = {pattern}\nretentions = 60:10\n")
}

fn aggregation_section(name: &str, pattern: &str, method: &str) -> String {
    format!("[{name}]\npattern = {pattern}\nxFilesFactor = 0.5\naggregationMethod = {method}\n")
}

fn rule_names(schema: &Schema, name: &[u8]) -> Option<(String, String)> {
    let rules = schema.rules_of(name)?;
    Some((rules.storage.name.clone(), rules.aggregation.name.clone()))
}

#[test]
fn embedded_rules() {
    let schema = Schema::embedded();
    let archives = |name: &[u8]| schema.policy(name).unwrap().archives.clone();
    assert_eq!(archives(b"carbon.agents.x"), Retention::parse_list("10s:6h,1m:30d").unwrap());
    assert_eq!(archives(b"servers.carbon.x"), Retention::parse_list("1m:30d").unwrap());
    let policy = schema.policy(b"x").unwrap();
    assert_eq!((policy.method, policy.x_files_factor), (AggregationMethod::Average, 0.5));
}

#[test]
fn the_first_rule_in_order_decides() {
    let text = storage_section("second", "^a")
        + &storage_section("third", "b")
        + &storage_section("first", "c$")
        + "priority = 1\n";
    let aggregation =
        aggregation_section("sums", "\\.count$", "sum") + &aggregation_section("as", "a", "max");
    let schema = parse(&text, &aggregation).unwrap();
    let check = |name: &str, storage: &str, aggregation: &str| {
        let expected = Some((storage.to_owned(), aggregation.to_owned()));
        assert_eq!(rule_names(&schema, name.as_bytes()), expected, "{name}");
    };
    check("abc", "first", "as");
    check("ab", "second", "as");
    check("xb", "third", "default");
    check("bab.count", "third", "sums");
    assert!(schema.policy(b"x").is_none());
    assert!(schema.policy(b"").is_none());
}

#[test]
fn tagged_names_are_matched_with_their_tags() {
    let schema = parse(&storage_section("tagged", ";dc=eu(;|$)"), "").unwrap();
    assert!(schema.policy(b"cpu;dc=eu;host=a").is_some());
    assert!(schema.policy(b"cpu;dc=europe").is_none());
}

#[test]
fn no_rules_match_nothing() {
    let schema = parse("", "").unwrap();
    assert!(schema.policy(b"a").is_none());
    assert!(schema.storage_rules().is_empty());
}

#[test]
fn without_an_aggregation_file_all_is_average() {
    let text = storage_section("all", "");
    assert!(parse(&text, "").is_err(), "an empty pattern is refused");
    let text = storage_section("all", ".*");
    let file = RuleFile { name: "schemas", text: text.as_bytes() };
    let schema = Schema::parse(file, None).unwrap();
    assert_eq!(schema.rules_of(b"a").unwrap().aggregation.name, "default");
    assert!(schema.aggregation_rules().is_empty());
}

#[test]
fn equal_rules_share_one_policy() {
    let text = storage_section("a", "^a") + &storage_section("b", "^b");
    let aggregation =
        aggregation_section("x", "x", "average") + &aggregation_section("y", "y", "sum");
    let schema = parse(&text, &aggregation).unwrap();
    let policy = |name: &[u8]| schema.policy(name).unwrap();
    assert!(Arc::ptr_eq(&policy(b"a"), &policy(b"b")));
    assert!(Arc::ptr_eq(&policy(b"a"), &policy(b"ax")), "the default rule says the same as x");
    assert!(!Arc::ptr_eq(&policy(b"a"), &policy(b"ay")));
    assert!(Arc::ptr_eq(&policy(b"a"), &schema.clone().policy(b"a").unwrap()));
}

#[test]
fn mistakes_of_both_files_come_together_in_order() {
    let schemas = "[a]\nretentions = 60s:1d,90s:30d\nwrong\n[b]\npattern = (\nretentions = 0:1\n";
    let error = parse(schemas, "[c]\nxFilesFactor = 2\naggregationMethod = p95\n").unwrap_err();
    let places: Vec<_> = error.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "schemas:1",
            "schemas:2",
            "schemas:3",
            "schemas:5",
            "schemas:6",
            "aggregation:2",
            "aggregation:3"
        ]
    );
}

#[test]
fn the_compiled_size_is_bounded() {
    let text = storage_section("small", "a") + &storage_section("huge", "[\\pL\\pN]{1000}.{1000}");
    let error = parse(&text, "").unwrap_err();
    assert!(error.starts_with("schemas:4: patterns up to"), "{error}");
    // No single one is too large, all together are.
    let many: String =
        (0..100).map(|n| storage_section("part", &format!("{n}[\\pL]{{60}}"))).collect();
    let error = parse(&many, "").unwrap_err();
    assert!(error.contains("compile to more than 10485760 bytes"), "{error}");
}

#[test]
fn a_hundred_rules() {
    let text: String = (0..100)
        .map(|n| storage_section(&n.to_string(), &format!("^team{n}\\..*\\.p{n}$")))
        .collect();
    let schema = parse(&text, "").unwrap();
    for n in 0..100 {
        let name = format!("team{n}.servers.web.p{n}");
        assert_eq!(schema.rules_of(name.as_bytes()).unwrap().storage.name, n.to_string());
    }
    assert!(schema.policy(b"team1.servers.web.p2").is_none());
}

/// Pieces of which patterns and names are made.
const PIECES: [&str; 26] = [
    "a", "b", ".", "\\.", "[ab]", "[^a]", "^a", "b$", "a*", "b+", "(a|b)", "\\b", "\\B", "\\d",
    "1", "é", "(?i)A", "a{2}", "a??", "^", "$", "|", "\\xe9", "(?s:.)", ".*", ".+",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// One automaton for all rules decides as asking rule by rule does.
    #[test]
    fn one_automaton_is_as_good_as_a_loop(
        patterns in proptest::collection::vec(
            proptest::collection::vec(proptest::sample::select(&PIECES[..]), 1..5), 1..8),
        names in proptest::collection::vec("[ab.1é\n]{0,6}", 8),
        tail in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let patterns: Vec<Pattern> =
            patterns.iter().filter_map(|pieces| Pattern::parse(&pieces.concat()).ok()).collect();
        let together = matcher::Matcher::new(&patterns.iter().collect::<Vec<_>>()).unwrap();
        let alone: Vec<_> =
            patterns.iter().map(|pattern| matcher::Matcher::new(&[pattern]).unwrap()).collect();
        for name in names {
            let name = [name.as_bytes(), &tail].concat();
            let expected = alone.iter().position(|matcher| matcher.first_match(&name).is_some());
            prop_assert_eq!(together.first_match(&name), expected);
        }
    }

    #[test]
    fn any_bytes_are_an_answer(
        schemas in proptest::collection::vec(any::<u8>(), 0..200),
        aggregation in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let schemas = RuleFile { name: "schemas", text: &schemas };
        let _ = Schema::parse(schemas, Some(RuleFile { name: "aggregation", text: &aggregation }));
    }

    #[test]
    fn almost_good_files_are_an_answer(
        lines in proptest::collection::vec(
            "\\[[a]?\\]|(pattern|retentions|priority|xFilesFactor|compressed) ?= ?[-(a*.:0-9smd,]{0,8}",
            0..12),
    ) {
        let text = lines.join("\n");
        let _ = parse(&text, &text);
    }
}
