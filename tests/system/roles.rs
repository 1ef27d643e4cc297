//! Who may call what: every call there is, as every kind of caller there is, against a table that
//! is kept in `roles.matrix`. `UPDATE=1` writes it anew; the change is for a person to judge.

use std::fs;
use std::path::Path;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use vouchsafe_proto::v1::{DisableUserRequest, FILE_DESCRIPTOR_SET, Role};
use vouchsafe_tests::events::within;
use vouchsafe_tests::grpc::{Person, said};

use crate::prompt_daemon;

/// An empty message, whatever its type; answers are not read.
#[derive(Clone, Copy, Default)]
struct Empty;

impl Codec for Empty {
    type Encode = ();
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Empty {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, _item: (), _buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Empty {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}

#[tokio::test]
async fn who_may_call_what_is_as_the_table_says() {
    let mut daemon = prompt_daemon().await;
    let roles = [
        ("approver", Role::Approver),
        ("auditor", Role::Auditor),
        ("operator", Role::Operator),
        ("adm", Role::Admin),
    ];
    for (name, role) in roles {
        daemon.add_user(name, &[role], &[]).await;
    }
    daemon.add_user("nothing", &[], &[]).await;
    daemon.add_user("gone", &[Role::Admin], &[]).await;
    let request = DisableUserRequest { name: "gone".to_owned(), reason: String::new() };
    daemon.admin().users().disable_user(request).await.unwrap();
    let agent = daemon.agent("claude").key().to_owned();
    let callers = [
        ("approver", daemon.grpc("approver")),
        ("auditor", daemon.grpc("auditor")),
        ("operator", daemon.grpc("operator")),
        ("admin", daemon.grpc("adm")),
        ("no role", daemon.grpc("nothing")),
        ("disabled", daemon.grpc("gone")),
        ("MCP key", daemon.grpc_with(Some(&agent))),
        ("no token", daemon.grpc_with(None)),
    ];
    let methods = methods();
    assert!(methods.len() > 40, "{methods:?}");
    let names: Vec<_> = callers.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut table = row("", &names);
    for method in methods {
        let mut cells = Vec::new();
        for (_, caller) in &callers {
            cells.push(called(caller, &method).await);
        }
        table += &row(method.trim_start_matches("/vouchsafe.v1."), &cells);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/roles.matrix");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == table, "UPDATE=1 writes roles.matrix anew; it would be\n{table}");
}

fn row(first: &str, cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:<18}")).collect();
    format!("{first:<30}{}", cells.concat()).trim_end().to_owned() + "\n"
}

/// Every method of every service of the contract.
fn methods() -> Vec<String> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut methods = Vec::new();
    for file in set.file {
        for service in &file.service {
            let path = format!("/{}.{}", file.package(), service.name());
            methods.extend(service.method.iter().map(|m| format!("{path}/{}", m.name())));
        }
    }
    methods.sort();
    methods
}

/// `yes` where the caller gets as far as the method itself, else why not.
async fn called(caller: &Person, method: &str) -> String {
    let mut client = Grpc::new(caller.channel());
    client.ready().await.unwrap();
    let path = method.parse().unwrap();
    let call = client.server_streaming(tonic::Request::new(()), path, Empty);
    match within(method, call).await {
        Ok(_) => "yes".to_owned(),
        Err(status) => {
            let said = said(&status);
            match said.code.as_str() {
                // An empty message is no good to the method, which says so itself.
                "INVALID_ARGUMENT" | "REASON_NEEDED" | "NOT_STOPPED" => "yes".to_owned(),
                code => code.to_owned(),
            }
        }
    }
}
