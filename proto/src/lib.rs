//! The gRPC contract of Vouchsafe: messages, clients and servers generated
//! from `vouchsafe/v1/*.proto`, and nothing else.

/// Version 1 of the contract.
pub mod v1 {
    tonic::include_proto!("vouchsafe.v1");

    /// The encoded descriptors of this package, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/vouchsafe.v1.bin"));
}
