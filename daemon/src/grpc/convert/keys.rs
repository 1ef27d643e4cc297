//! MCP keys.

use vouchsafe_core::token::Token;
use vouchsafe_proto::v1;

use super::time::time_out;
use crate::broker::KeyView;

/// A key without its value.
pub(in crate::grpc) fn key(view: &KeyView) -> v1::Key {
    let key = &view.key;
    v1::Key {
        id: key.id.to_string(),
        name: key.name.to_string(),
        project: view.project_name.clone(),
        owner: view.owner_name.clone(),
        scopes: key.scopes.iter().map(|scope| scope.to_string()).collect(),
        enabled: key.enabled,
        created_at: Some(time_out(key.created_at)),
        last_used_at: key.last_used_at.map(time_out),
        ..v1::Key::default()
    }
}

/// A key and its value, which goes to whoever made it, once.
pub(in crate::grpc) fn key_with_value(view: &KeyView, value: &Token) -> v1::KeyWithValue {
    v1::KeyWithValue { key: Some(key(view)), value: value.expose().to_string() }
}
