use super::*;

fn message<T: std::fmt::Debug>(taken: Taken<T>) -> String {
    taken.unwrap_err().message
}

#[test]
fn each_operation_reads_back_as_it_is_written_and_no_other_is_taken() {
    for one in Operation::ALL {
        assert_eq!(operation("operation", operation_out(one).into()), Ok(one));
    }
    assert_eq!(message(operation("operation", 0)), "operation is missing");
    assert_eq!(
        message(operation("operation", 7)),
        "operation has the value 7, which this daemon does not know"
    );
}

#[test]
fn everything_that_comes_in_has_a_limit() {
    assert_eq!(message(name("name", String::new())), "name is missing");
    assert_eq!(message(name("name", "a".repeat(201))), "name has 201 bytes, and may have 200");
    assert_eq!(
        message(names("groups", vec!["a".to_owned(); 51])),
        "groups has 51 entries, and may have 50"
    );
    assert_eq!(
        message(reason("é".repeat(2_001))),
        "the reason has 2001 characters, and may have 2000"
    );
    assert!(reason("é".repeat(2_000)).is_ok());
    let page = |size| page(Some(v1::PageRequest { size, token: String::new() }));
    assert_eq!(message(page(501)), "page.size is 501, and a page has 500 at most");
    assert_eq!(page(500).unwrap().size, 500);
}

#[test]
fn what_is_empty_is_not_given() {
    assert_eq!(optional("project", String::new()), Ok(None));
    assert_eq!(pattern("resource", ""), Ok(None));
    assert!(message(pattern("resource", "nonsense")).starts_with("resource: `nonsense` is not"));
}
