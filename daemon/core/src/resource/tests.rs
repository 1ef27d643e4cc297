use proptest::prelude::*;

use super::*;

fn check_resource(text: &str, expect: &str) {
    let got = match text.parse::<Resource>() {
        Ok(resource) => {
            assert_eq!(resource.to_string(), text, "it is written as it was read");
            format!("{} that has {}", resource.kind(), resource.kind().operations())
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(got, expect, "{text}");
}

fn check_pattern(text: &str, expect: &str) {
    let got = match text.parse::<Pattern>() {
        Ok(pattern) => {
            assert_eq!(pattern.to_string(), text, "it is written as it was read");
            "fine".to_owned()
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(got, expect, "{text}");
}

fn pattern(path: &str) -> Pattern {
    format!("{SCHEME}{path}").parse().unwrap()
}

#[test]
fn a_resource_is_a_secret_a_tool_or_the_log() {
    let secrets = "secrets that has list, use, read, write, delete";
    check_resource("vouchsafe://secrets/A", secrets);
    check_resource("vouchsafe://secrets/production/DATABASE_URL", secrets);
    check_resource("vouchsafe://secrets/1/2/3/4/5/6/7/a.b-c_D", secrets);
    check_resource("vouchsafe://secrets/...", secrets);
    check_resource(&format!("vouchsafe://secrets/{}", "a".repeat(64)), secrets);
    check_resource("vouchsafe://tools/linear/create_issue", "tools that has list, call");
    check_resource("vouchsafe://audit", "audit that has read");
}

#[test]
fn what_is_no_resource_is_told_what_one_is() {
    let scheme = "it begins with vouchsafe://, such as vouchsafe://secrets/production/DATABASE_URL";
    let path = "a secret's path has 1 to 8 parts, such as production/DATABASE_URL";
    for (text, why) in [
        ("", scheme),
        ("secrets/A", scheme),
        ("Vouchsafe://secrets/A", scheme),
        ("vouchsafe://secret/A", "after vouchsafe:// comes secrets/, tools/ or audit"),
        ("vouchsafe://", "after vouchsafe:// comes secrets/, tools/ or audit"),
        ("vouchsafe://secrets", path),
        ("vouchsafe://secrets/", path),
        ("vouchsafe://secrets/1/2/3/4/5/6/7/8/9", path),
        (
            "vouchsafe://secrets/a//b",
            "the part `` is empty: write one / between two parts and none at the ends",
        ),
        (
            "vouchsafe://secrets/a/",
            "the part `` is empty: write one / between two parts and none at the ends",
        ),
        (
            "vouchsafe://secrets/a/../b",
            "the part `..` is not allowed: there are no folders to go up or stay in",
        ),
        (
            "vouchsafe://secrets/.",
            "the part `.` is not allowed: there are no folders to go up or stay in",
        ),
        (
            "vouchsafe://secrets/a b",
            "the part `a b` may hold letters A-Z and a-z, digits and _ . - only",
        ),
        (
            "vouchsafe://secrets/a%2fb",
            "the part `a%2fb` may hold letters A-Z and a-z, digits and _ . - only",
        ),
        (
            "vouchsafe://secrets/*",
            "the part `*` may hold letters A-Z and a-z, digits and _ . - only",
        ),
        ("vouchsafe://tools/linear", "a tool is vouchsafe://tools/UPSTREAM/TOOL"),
        ("vouchsafe://tools/a/b/c", "a tool is vouchsafe://tools/UPSTREAM/TOOL"),
        ("vouchsafe://audit/x", "the log is vouchsafe://audit, with nothing after it"),
        ("vouchsafe://audit/", "the log is vouchsafe://audit, with nothing after it"),
    ] {
        check_resource(text, &format!("`{text}` is not a resource: {why}"));
    }
}

#[test]
fn a_wrong_text_is_repeated_safely() {
    check_resource(
        &format!("vouchsafe://secrets/{}", "a".repeat(65)),
        &format!(
            "`vouchsafe://secrets/{}` is not a resource: the part `{}` is over 64 characters",
            "a".repeat(65),
            "a".repeat(65)
        ),
    );
    // What an agent sent is repeated, but not as it came.
    check_resource(
        "vouchsafe://secrets/a\u{202e}b",
        "`vouchsafe://secrets/a\\u{202e}b` is not a resource: the part `a\\u{202e}b` may hold \
         letters A-Z and a-z, digits and _ . - only",
    );
    assert_eq!(
        "a/../b".parse::<SecretPath>().unwrap_err().to_string(),
        "`a/../b` is not a secret's path: the part `..` is not allowed: there are no folders to go \
         up or stay in"
    );
}

#[test]
fn a_pattern_is_a_resource_with_whole_wildcards() {
    for text in [
        "vouchsafe://secrets/production/*",
        "vouchsafe://secrets/**",
        "vouchsafe://secrets/**/ROOT_PASSWORD",
        "vouchsafe://secrets/*/a/**/b/*",
        "vouchsafe://tools/**",
        "vouchsafe://tools/linear/*",
        "vouchsafe://tools/linear/**",
        "vouchsafe://audit",
    ] {
        check_pattern(text, "fine");
    }
    let mixed = "mixes a wildcard with other characters; `*` stands for one whole part between two \
                 /, `**` for any number of parts, and there are no other wildcards";
    let kind = "the kind is written out: vouchsafe://secrets/**, vouchsafe://tools/** or \
                vouchsafe://audit";
    for (text, why) in [
        ("vouchsafe://secrets/prod*", format!("`prod*` {mixed}")),
        ("vouchsafe://secrets/a/***", format!("`***` {mixed}")),
        ("vouchsafe://secrets/a?c", format!("`a?c` {mixed}")),
        ("vouchsafe://secrets/[ab]", format!("`[ab]` {mixed}")),
        ("vouchsafe://secrets/{a,b}", format!("`{{a,b}}` {mixed}")),
        ("vouchsafe://**", kind.to_owned()),
        ("vouchsafe://*/a", kind.to_owned()),
        (
            "vouchsafe://secrets/**/**",
            "one ** is enough: it already stands for any number of parts".to_owned(),
        ),
        (
            "vouchsafe://secrets/1/2/3/4/5/6/7/8/**",
            "no path is this long: a secret's has 8 parts at most".to_owned(),
        ),
        ("vouchsafe://tools/linear", "a tool is vouchsafe://tools/UPSTREAM/TOOL".to_owned()),
        ("vouchsafe://tools/*/*/**", "a tool is vouchsafe://tools/UPSTREAM/TOOL".to_owned()),
        (
            "vouchsafe://secrets",
            "a secret's path has 1 to 8 parts, such as production/DATABASE_URL".to_owned(),
        ),
        ("vouchsafe://audit/**", "the log is vouchsafe://audit, with nothing after it".to_owned()),
        (
            "secrets/*",
            "it begins with vouchsafe://, such as vouchsafe://secrets/production/DATABASE_URL"
                .to_owned(),
        ),
        (
            "vouchsafe://secrets/a b",
            "the part `a b` may hold letters A-Z and a-z, digits and _ . - only".to_owned(),
        ),
    ] {
        check_pattern(text, &format!("`{text}` is not a pattern: {why}"));
    }
}

#[test]
fn a_star_is_one_part_and_two_are_any_number() {
    for (path, resource, matches) in [
        ("secrets/production/*", "secrets/production/A", true),
        ("secrets/production/*", "secrets/production/eu/A", false),
        ("secrets/production/*", "secrets/production", false),
        ("secrets/production/**", "secrets/production/eu/A", true),
        // At the end it is what lies below.
        ("secrets/production/**", "secrets/production", false),
        ("secrets/production/**", "secrets/productionA", false),
        ("secrets/**/A", "secrets/A", true),
        ("secrets/**/A", "secrets/1/2/3/4/5/6/7/A", true),
        ("secrets/**/A", "secrets/1/BA", false),
        ("secrets/a.c", "secrets/abc", false),
        ("secrets/A", "secrets/a", false),
        ("tools/**", "secrets/a/b", false),
        ("tools/linear/*", "tools/linear/create_issue", true),
        ("audit", "audit", true),
    ] {
        let resource: Resource = format!("{SCHEME}{resource}").parse().unwrap();
        assert_eq!(pattern(path).matches(&resource), matches, "{path} {resource}");
    }
}

#[test]
fn the_more_literal_then_the_fewer_wildcards_is_more_specific() {
    let falling = [
        "secrets/a/b/c",
        "secrets/a/b/*",
        "secrets/a/b/**",
        "secrets/a/*/**/b/**",
        "secrets/a/*",
        "secrets/a/*/*",
        "secrets/a/**",
        "secrets/*",
        "secrets/**",
        "secrets/*/**",
    ];
    for pair in falling.windows(2) {
        let (more, less) = (pattern(pair[0]).specificity(), pattern(pair[1]).specificity());
        assert!(more > less, "{pair:?}");
    }
    assert_eq!(pattern("secrets/a/*").specificity(), pattern("secrets/*/b").specificity());
}

#[test]
fn patterns_meet_only_on_paths_that_can_be() {
    let long = pattern("secrets/a/b/c/d/**/z");
    assert!(long.overlaps(&pattern("secrets/**/w/x/y/z")), "on eight parts");
    assert!(!long.overlaps(&pattern("secrets/**/v/w/x/y/z")), "on nine");
    assert!(pattern("tools/**/b").overlaps(&pattern("tools/a/*")));
    assert!(!pattern("tools/**/b").overlaps(&pattern("secrets/**/b")));
    assert!(pattern("tools/*/*").covers(&pattern("tools/**")), "a tool has two parts");
    assert!(!pattern("secrets/*/*").covers(&pattern("secrets/**")));
}

#[test]
fn operations_are_a_set() {
    let some: Operations =
        [Operation::Read, Operation::List, Operation::Read].into_iter().collect();
    assert_eq!(some.to_string(), "list, read");
    assert_eq!(serde_json::to_string(&some).unwrap(), r#"["list","read"]"#);
    assert_eq!(serde_json::from_str::<Operations>(r#"["read","list"]"#).unwrap(), some);
    assert_eq!(Operations::NONE.to_string(), "nothing");
    assert!(
        some.is_subset(Kind::Secrets.operations()) && !some.is_subset(Kind::Tools.operations())
    );
    assert_eq!(
        "Read".parse::<Operation>().unwrap_err().to_string(),
        "`Read` is not an operation: write list, use, read, write, delete or call"
    );
}

/// Every path of up to `most` parts over three names.
fn paths(most: usize) -> Vec<Resource> {
    let mut all = vec![Vec::new()];
    let mut paths = Vec::new();
    for _ in 0..most {
        all = all
            .iter()
            .flat_map(|path: &Vec<&str>| {
                ["a", "b", "c"].map(|next| [path.as_slice(), &[next]].concat())
            })
            .collect();
        paths.extend(all.iter().map(|path| Resource::Secret(path.join("/").parse().unwrap())));
    }
    paths
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let part = prop::sample::select(vec!["a", "b", "*", "**"]);
    prop::collection::vec(part, 1..=3).prop_filter_map("two ** side by side", |parts| {
        format!("{SCHEME}secrets/{}", parts.join("/")).parse().ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Three parts each meet within six, if they meet at all.
    #[test]
    fn what_patterns_have_in_common_is_what_enumeration_finds(
        one in any_pattern(),
        other in any_pattern(),
    ) {
        let (a, b) = (one.glob().compile_matcher(), other.glob().compile_matcher());
        let (mut both, mut escapes) = (false, false);
        for resource in paths(6) {
            let (a, b) = (a.is_match(resource.glob_path()), b.is_match(resource.glob_path()));
            both |= a && b;
            escapes |= b && !a;
        }
        prop_assert_eq!(one.overlaps(&other), both);
        prop_assert_eq!(other.overlaps(&one), both);
        prop_assert_eq!(one.covers(&other), !escapes);
    }

    #[test]
    fn a_pattern_covers_and_meets_itself(pattern in any_pattern()) {
        prop_assert!(pattern.covers(&pattern) && pattern.overlaps(&pattern));
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "(vouchsafe://(secrets|tools|audit)?)?[a-c./*{}\\PC]{0,40}") {
        if let Ok(resource) = text.parse::<Resource>() {
            prop_assert_eq!(resource.to_string(), text.clone());
            prop_assert!(Pattern::from(&resource).matches(&resource));
        }
        if let Ok(pattern) = text.parse::<Pattern>() {
            prop_assert_eq!(pattern.to_string(), text);
            prop_assert!(pattern.covers(&pattern));
        }
    }
}
