use super::*;

#[test]
fn long_lines_are_broken_and_whose_words_they_are_is_seen_on_each() {
    let words = ["word"; 40].join(" ");
    for (start, prefix) in [("", ""), ("  ", "  "), ("  > ", "  > ")] {
        let wrapped = wrap(&format!("{start}{words}\n"));
        assert!(wrapped.lines().count() > 2);
        for line in wrapped.lines() {
            assert!(line.starts_with(prefix) && line.chars().count() <= TEXT_CHARS_MAX, "{line}");
        }
        let back: Vec<_> = wrapped.lines().map(|line| &line[prefix.len()..]).collect();
        assert_eq!(back.join(" "), words);
    }
}

#[test]
fn what_cannot_be_broken_stays_whole_and_the_rest_as_it_is() {
    let long = format!("  https://{}", "x".repeat(200));
    assert_eq!(wrap(&format!("a\n\n{long}\n-- \nb")), format!("a\n\n{long}\n-- \nb\n"));
    let mixed = wrap(&format!("  > see {} now", "y".repeat(100)));
    assert_eq!(mixed, format!("  > see\n  > {}\n  > now\n", "y".repeat(100)));
}
