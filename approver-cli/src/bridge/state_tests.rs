//! The bridge, event by event.

use serde_json::json;

use super::*;

const INITIALIZE: &str =
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
const INITIALIZE_ANSWER: &str = r#"{"jsonrpc":"2.0","id":0,"result":{}}"#;
const READ: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_secret"}}"#;
const READ_ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"resources/list"}"#;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn why() -> Trouble {
    Trouble { message: "no daemon answers".to_owned(), next: "start it".to_owned() }
}

fn to_client(line: &str) -> Action {
    Action::ToClient(line.to_owned())
}

fn to_daemon(line: &str) -> Action {
    Action::ToDaemon(line.to_owned())
}

/// A bridge with its handshake done.
fn running() -> Bridge {
    let mut bridge = Bridge::default();
    bridge.joined();
    bridge.client_line(INITIALIZE, at(0));
    bridge.daemon_line(INITIALIZE_ANSWER, at(0));
    bridge.client_line(INITIALIZED, at(0));
    assert_eq!(
        bridge.actions(),
        [to_daemon(INITIALIZE), to_client(INITIALIZE_ANSWER), to_daemon(INITIALIZED)]
    );
    bridge
}

/// What the client was told, as JSON.
fn told(actions: &[Action]) -> Vec<Value> {
    let lines = actions.iter().filter_map(|action| match action {
        Action::ToClient(line) => serde_json::from_str(line).ok(),
        Action::ToDaemon(_) | Action::HalfClose | Action::Leave | Action::Exit(_) => None,
    });
    lines.collect()
}

#[test]
fn messages_pass_both_ways_untouched() {
    let mut bridge = running();
    bridge.client_line(READ, at(1));
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
    bridge.daemon_line(progress, at(1));
    bridge.daemon_line(READ_ANSWER, at(2));
    assert_eq!(bridge.actions(), [to_daemon(READ), to_client(progress), to_client(READ_ANSWER)]);
}

#[test]
fn a_call_in_flight_is_answered_when_the_daemon_goes() {
    let mut bridge = running();
    bridge.client_line(READ, at(1));
    bridge.client_line(LIST, at(1));
    bridge.actions();
    bridge.lost(why(), at(2));
    let answers = told(&bridge.actions());
    let [read, list] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(read.pointer("/id").unwrap(), 1);
    assert_eq!(read.pointer("/result/isError").unwrap(), true);
    let said = read.pointer("/result/structuredContent").unwrap();
    assert_eq!(said.get("status").unwrap(), "interrupted");
    assert_eq!(said.get("next").unwrap(), "call again with the same arguments");
    let text = read.pointer("/result/content/0/text").unwrap().as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), *said);
    assert_eq!(list.pointer("/error/code").unwrap(), 1_000);
}

#[test]
fn the_handshake_is_replayed_and_its_answer_swallowed() {
    let mut bridge = running();
    bridge.lost(why(), at(1));
    bridge.client_line(READ, at(2));
    assert_eq!(bridge.actions(), []);
    bridge.joined();
    let actions = bridge.actions();
    let [Action::ToDaemon(replayed)] = actions.as_slice() else { panic!("{actions:?}") };
    let replayed: Value = serde_json::from_str(replayed).unwrap();
    assert_eq!(replayed.get("id").unwrap(), "vouchsafe-replay-1");
    assert_eq!(replayed.pointer("/params/protocolVersion").unwrap(), "2025-11-25");
    bridge.daemon_line(r#"{"jsonrpc":"2.0","id":"vouchsafe-replay-1","result":{}}"#, at(3));
    assert_eq!(bridge.actions(), [to_daemon(INITIALIZED), to_daemon(READ)]);
    bridge.daemon_line(READ_ANSWER, at(4));
    assert_eq!(bridge.actions(), [to_client(READ_ANSWER)]);
}

#[test]
fn an_old_replays_answer_never_reaches_the_client() {
    let mut bridge = running();
    bridge.daemon_line(r#"{"jsonrpc":"2.0","id":"vouchsafe-replay-9","result":{}}"#, at(1));
    assert_eq!(bridge.actions(), []);
}

#[test]
fn a_replay_that_is_refused_gives_the_connection_up() {
    let mut bridge = running();
    bridge.lost(why(), at(1));
    bridge.joined();
    bridge.actions();
    bridge.daemon_line(r#"{"jsonrpc":"2.0","id":"vouchsafe-replay-1","error":{}}"#, at(2));
    assert_eq!(bridge.actions(), [Action::Leave]);
}

#[test]
fn an_unanswered_initialize_is_sent_again_under_its_own_id() {
    let mut bridge = Bridge::default();
    bridge.client_line(INITIALIZE, at(0));
    assert_eq!(bridge.actions(), []);
    bridge.joined();
    assert_eq!(bridge.actions(), [to_daemon(INITIALIZE)]);
    bridge.lost(why(), at(1));
    bridge.joined();
    assert_eq!(bridge.actions(), [to_daemon(INITIALIZE)]);
    bridge.daemon_line(INITIALIZE_ANSWER, at(2));
    assert_eq!(bridge.actions(), [to_client(INITIALIZE_ANSWER)]);
}

#[test]
fn a_client_without_initialize_needs_no_replay() {
    let mut bridge = Bridge::default();
    bridge.joined();
    bridge.client_line(READ, at(0));
    bridge.lost(why(), at(1));
    bridge.actions();
    bridge.client_line(LIST, at(2));
    bridge.joined();
    assert_eq!(bridge.actions(), [to_daemon(LIST)]);
}

#[test]
fn a_held_request_is_answered_after_half_a_minute() {
    let mut bridge = running();
    bridge.lost(why(), at(1));
    bridge.client_line(READ, at(2));
    assert_eq!(bridge.deadline(), Some(at(32)));
    bridge.tick(at(31));
    assert_eq!(bridge.actions(), []);
    bridge.tick(at(32));
    let answers = told(&bridge.actions());
    let message = answers.first().unwrap().pointer("/result/structuredContent/message").unwrap();
    assert_eq!(message, "the broker cannot be reached: no daemon answers");
    assert_eq!(bridge.deadline(), None);
}

#[test]
fn an_initialize_without_a_daemon_is_answered_in_the_end() {
    let mut bridge = Bridge::default();
    bridge.client_line(INITIALIZE, at(0));
    bridge.lost(why(), at(1));
    bridge.tick(at(30));
    let answers = told(&bridge.actions());
    assert_eq!(answers.first().unwrap().pointer("/error/code").unwrap(), 1_000);
}

#[test]
fn no_more_is_held_than_the_queue_takes() {
    let mut bridge = running();
    bridge.lost(why(), at(1));
    for id in 0..=HELD_MAX {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string();
        bridge.client_line(&request, at(1));
    }
    let answers = told(&bridge.actions());
    assert_eq!(answers.len(), 1);
    assert_eq!(answers.first().unwrap().get("id").unwrap(), HELD_MAX);
}

#[test]
fn a_cancelled_request_is_forgotten() {
    let mut bridge = running();
    bridge.client_line(READ, at(1));
    bridge.actions();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    bridge.client_line(cancel, at(1));
    bridge.lost(why(), at(2));
    assert_eq!(bridge.actions(), [to_daemon(cancel)]);
}

#[test]
fn an_answer_for_a_daemon_that_is_gone_goes_nowhere() {
    let mut bridge = running();
    let ask = r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#;
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}"#;
    bridge.daemon_line(ask, at(1));
    bridge.client_line(answer, at(1));
    assert_eq!(bridge.actions(), [to_client(ask), to_daemon(answer)]);
    bridge.daemon_line(ask, at(2));
    bridge.actions();
    bridge.lost(why(), at(3));
    let told = told(&bridge.actions());
    assert_eq!(told.first().unwrap().get("method").unwrap(), "notifications/cancelled");
    bridge.joined();
    bridge.actions();
    bridge.client_line(answer, at(4));
    assert_eq!(bridge.actions(), []);
}

#[test]
fn a_line_over_a_mebibyte_is_answered_here() {
    let mut bridge = running();
    let long = json!({ "id": 5, "method": "tools/call", "params": "x".repeat(LINE_BYTES_MAX) });
    bridge.client_line(&long.to_string(), at(1));
    let actions = bridge.actions();
    let answers = told(&actions);
    assert_eq!((actions.len(), answers.len()), (1, 1));
    assert_eq!(answers.first().unwrap().get("id").unwrap(), 5);
}

#[test]
fn what_is_no_message_is_answered_and_not_sent_on() {
    let mut bridge = running();
    bridge.client_line("{nonsense", at(1));
    bridge.client_line("[]", at(1));
    bridge.daemon_line("panicked at src/main.rs", at(1));
    let codes: Vec<i64> = told(&bridge.actions())
        .iter()
        .map(|answer| answer.pointer("/error/code").unwrap().as_i64().unwrap())
        .collect();
    assert_eq!(codes, [-32_700, -32_600]);
}

#[test]
fn a_refused_key_is_told_to_the_first_request() {
    let refusal =
        Trouble { message: "the key is disabled".to_owned(), next: "ask jane".to_owned() };
    let mut waiting = Bridge::default();
    waiting.client_line(INITIALIZE, at(0));
    waiting.refused(refusal.clone());
    let mut idle = Bridge::default();
    idle.refused(refusal);
    assert!(!idle.wants_link());
    assert_eq!(idle.actions(), []);
    idle.client_line(INITIALIZE, at(9));
    for mut bridge in [waiting, idle] {
        let actions = bridge.actions();
        assert_eq!(actions.last(), Some(&Action::Exit(Ending::KeyRefused)));
        let answers = told(&actions);
        let error = answers.first().unwrap().get("error").unwrap();
        assert_eq!(error.get("message").unwrap(), "the key is disabled");
        assert_eq!(error.pointer("/data/next").unwrap(), "ask jane");
    }
}

#[test]
fn after_the_client_hung_up_answers_are_waited_for() {
    let mut bridge = running();
    bridge.client_line(READ, at(1));
    bridge.client_end(at(1));
    assert_eq!(bridge.actions(), [to_daemon(READ), Action::HalfClose]);
    bridge.daemon_line(READ_ANSWER, at(2));
    assert_eq!(bridge.actions(), [to_client(READ_ANSWER), Action::Exit(Ending::Done)]);
}

#[test]
fn after_the_client_hung_up_nothing_is_waited_for_longer_than_it_takes() {
    let mut bridge = running();
    bridge.client_line(READ, at(1));
    bridge.client_end(at(1));
    bridge.actions();
    assert_eq!(bridge.deadline(), Some(at(6)));
    bridge.tick(at(6));
    let actions = bridge.actions();
    assert_eq!(told(&actions).len(), 1);
    assert_eq!(actions.last(), Some(&Action::Exit(Ending::Done)));
    let mut idle = running();
    idle.client_end(at(1));
    assert_eq!(idle.actions(), [Action::HalfClose, Action::Exit(Ending::Done)]);
}

#[test]
fn input_that_came_all_at_once_is_still_sent_when_the_daemon_is_there() {
    let mut bridge = Bridge::default();
    for line in [INITIALIZE, INITIALIZED, READ] {
        bridge.client_line(line, at(0));
    }
    bridge.client_end(at(0));
    assert_eq!(bridge.actions(), []);
    bridge.joined();
    assert_eq!(
        bridge.actions(),
        [to_daemon(INITIALIZE), to_daemon(INITIALIZED), to_daemon(READ), Action::HalfClose]
    );
    bridge.daemon_line(INITIALIZE_ANSWER, at(1));
    bridge.daemon_line(READ_ANSWER, at(1));
    assert_eq!(bridge.actions().last(), Some(&Action::Exit(Ending::Done)));
}
