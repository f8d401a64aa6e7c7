//! Foreshock's gRPC services and their messages, generated from `foreshock/v1/*.proto`.
//!
//! The comments in the `.proto` files are the documentation of the API; they appear here unchanged.

/// Version 1 of the API.
pub mod v1 {
    #![allow(missing_docs, clippy::all, clippy::unwrap_used)]
    tonic::include_proto!("foreshock.v1");

    /// The encoded file descriptor set, for gRPC reflection and for clients in other languages.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("foreshock.v1");
}
