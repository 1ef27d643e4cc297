use proptest::prelude::*;

use super::*;

fn check(text: &str, expect: &str, suspicious: bool) {
    let expected = Escaped { text: expect.to_owned(), suspicious };
    assert_eq!(escape_untrusted(text), expected, "{text:?}");
}

#[test]
fn honest_text_is_shown_as_it_is() {
    for text in [
        "Fix INC-4711: the pool is exhausted (see #42)!",
        "Überprüfung — déjà vu, naïve, Łódź, çok güzel",
        "Проверка базы",
        "Ελληνικά",
        "数据库检查",
        "データベース",
        "데이터베이스",
        "فحص قاعدة",
        "ตรวจสอบฐานข้อมูล",
        "हिन्दी में जाँच",
        "e\u{301}\u{323} is two marks",
        "❤\u{fe0f} one selector",
        "5 μs at 10 kΩ, Δt",
        "DATABASE_URL из хранилища",
        "a\u{a0}b",
        "α = 3, ρ < τ",
        "у нас сор",
        "    indented",
        "全角（かっこ）\u{3000}です",
        "",
    ] {
        check(text, text, false);
    }
}

#[test]
fn lines_and_tabs_are_shown_on_one_line() {
    check("a\nb\r\nc\rd\te", "a⏎b⏎c⏎d\\te", false);
}

#[test]
fn what_hides_or_reorders_is_written_out() {
    for (text, expect) in [
        ("a\0b\u{1b}[2J", "a\\u{0}b\\u{1b}[2J"),
        ("a\u{7f}\u{85}", "a\\u{7f}\\u{85}"),
        ("\u{202e}evil\u{2066}\u{200f}", "\\u{202e}evil\\u{2066}\\u{200f}"),
        (
            "pass\u{200b}word\u{200d}\u{feff}\u{ad}\u{2060}",
            "pass\\u{200b}word\\u{200d}\\u{feff}\\u{ad}\\u{2060}",
        ),
        ("a\u{e0041}\u{e007f}", "a\\u{e0041}\\u{e007f}"),
        ("a\u{e000}\u{10fffd}", "a\\u{e000}\\u{10fffd}"),
        ("a\u{378}\u{ffff}", "a\\u{378}\\u{ffff}"),
        ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
        ("\u{3164}\u{115f}\u{ffa0}\u{2800}", "\\u{3164}\\u{115f}\\u{ffa0}\\u{2800}"),
        ("a\u{fe00}\u{fe01}\u{fe0f}", "a\u{fe00}\\u{fe01}\\u{fe0f}"),
        ("a\u{e0100}\u{e01ef}", "a\\u{e0100}\\u{e01ef}"),
        ("a\u{34f}\u{17b4}", "a\\u{34f}\\u{17b4}"),
        ("a\u{301}\u{301}\u{301}\u{301}\u{301}b", "a\u{301}\u{301}\u{301}\u{301}\\u{301}b"),
        ("\u{301}a", "\\u{301}a"),
        ("a\n\u{20dd}", "a⏎\\u{20dd}"),
        ("a\u{2003}b\u{2007}", "a\\u{2003}b\\u{2007}"),
        ("a         b", "a        \\u{20}b"),
    ] {
        check(text, expect, true);
    }
}

#[test]
fn what_imitates_a_latin_letter_is_written_out() {
    for (text, expect) in [
        ("pаypal", "p\\u{430}ypal"),
        ("gооgle", "g\\u{43e}\\u{43e}gle"),
        ("Αdmin", "\\u{391}dmin"),
        ("read vοuchsafe now", "read v\\u{3bf}uchsafe now"),
        ("e\u{301}а", "e\u{301}\\u{430}"),
        ("раура asks", "\\u{440}\\u{430}\\u{443}\\u{440}\\u{430} asks"),
        ("𝐚𝟎", "\\u{1d41a}\\u{1d7ce}"),
        ("ａ１", "\\u{ff41}\\u{ff11}"),
    ] {
        check(text, expect, true);
    }
    assert_eq!(escape_json("{\"to\":\"pаypal\"}"), "{\"to\":\"p\\u0430ypal\"}");
    assert_eq!(escape_json("{\"to\":\"база\"}"), "{\"to\":\"база\"}");
}

#[test]
fn a_cut_says_that_and_how_much() {
    assert_eq!(limit_chars("añb", 3), "añb");
    assert_eq!(limit_chars("añbc", 2), "añ… (cut, 4 characters in all)");
    assert_eq!(limit_chars("abc", 0), "… (cut, 3 characters in all)");
    assert_eq!(echo("\u{202e}abc", 9), "\\u{202e}a… (cut, 11 characters in all)");
}

#[test]
fn a_reason_is_measured_by_what_can_be_seen() {
    for (text, length) in
        [("fix it", 5), ("  fix\n it ", 5), ("f\u{200b}\u{200b}x", 2), ("e\u{301}", 1)]
    {
        assert_eq!(Reason::parse(text).unwrap().length(), length, "{text:?}");
    }
}

#[test]
fn a_reason_keeps_what_was_said_and_shows_it_safely() {
    let reason = Reason::parse(" a\u{202e}b ").unwrap();
    assert_eq!(reason.original(), "a\u{202e}b");
    assert_eq!(reason.shown(), Escaped { text: "a\\u{202e}b".to_owned(), suspicious: true });
    assert_eq!(format!("{reason:?}"), "\"a\\\\u{202e}b\"");
    let stored = serde_json::to_string(&reason).unwrap();
    assert_eq!(serde_json::from_str::<Reason>(&stored).unwrap(), reason);
}

#[test]
fn a_reason_has_1_to_2000_characters() {
    for empty in ["", " \n\t", "\u{200b}\u{3164}", "\u{301}"] {
        let error = Reason::parse(empty).unwrap_err();
        assert_eq!(error.to_string(), "the reason is empty", "{empty:?}");
    }
    assert!(Reason::parse(&"é".repeat(2_000)).is_ok());
    assert_eq!(
        Reason::parse(&"é".repeat(2_001)).unwrap_err().to_string(),
        "the reason has 2001 characters and may have 2000"
    );
}

proptest! {
    #[test]
    fn what_is_shown_holds_nothing_to_escape(text in any::<String>()) {
        let shown = escape_untrusted(&text);
        prop_assert!(!shown.text.chars().any(|c| matches!(class(c), Class::Hidden | Class::Break | Class::Tab)));
        prop_assert_eq!(escape_untrusted(&shown.text).text, shown.text);
    }
}
