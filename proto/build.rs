//! Compiles the contract with protox, so that nobody needs protoc.

use std::error::Error;

use protox::prost::Message as _;

const FILES: [&str; 12] = [
    "vouchsafe/v1/approvals.proto",
    "vouchsafe/v1/audit.proto",
    "vouchsafe/v1/common.proto",
    "vouchsafe/v1/emergency.proto",
    "vouchsafe/v1/keys.proto",
    "vouchsafe/v1/leases.proto",
    "vouchsafe/v1/notify.proto",
    "vouchsafe/v1/policy.proto",
    "vouchsafe/v1/projects.proto",
    "vouchsafe/v1/secrets.proto",
    "vouchsafe/v1/status.proto",
    "vouchsafe/v1/users.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=vouchsafe");
    let descriptors = protox::compile(FILES, ["."])?;
    let path = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?)
        .join("vouchsafe.v1.bin");
    std::fs::write(path, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
