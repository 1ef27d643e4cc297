//! Queries that run while people wait go by an index, however long the history is.

use super::super::evidence::{ASKS_ABOUT, EACH_ANSWERED};
use super::super::leases::{LEASES_APPROVED_BY, LEASES_WITHOUT_VOTES};
use super::*;

/// What the engine would do, a step a line.
fn plan(home: &Home, sql: &str) -> Vec<String> {
    let connection = Connection::open(home.path()).unwrap();
    let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = vec![rusqlite::types::Null; explained.parameter_count()];
    let steps = explained.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3));
    steps.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_was_before_is_found_by_an_index_and_in_its_order() {
    let home = Home::new();
    for (sql, first) in [
        (ASKS_ABOUT, "SEARCH i USING PRIMARY KEY (project_id=? AND resource=? AND asked_at<?)"),
        (EACH_ANSWERED, "SEARCH a USING INDEX approvals_by_time (asked_at>?)"),
        // The index of those that are active, and no others.
        (LEASES_APPROVED_BY, "SCAN l USING INDEX leases_active"),
        (LEASES_WITHOUT_VOTES, "SEARCH l USING INDEX leases_active (expires_at>?)"),
    ] {
        let steps = plan(&home, sql);
        assert_eq!(steps.first().unwrap(), first, "{sql}");
        let rest = steps.iter().skip(1);
        let cheap = |step: &&String| step.starts_with("SEARCH") || step.starts_with("CORRELATED");
        assert!(rest.clone().all(|step| cheap(&step)), "{steps:?}");
    }
}
