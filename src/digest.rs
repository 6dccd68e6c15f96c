//! SHA-256 digests, by which what is kept in files is known to be what was written.

use sha2::{Digest, Sha256};

/// The SHA-256 of these pieces, one after the other, in hexadecimal digits.
pub(crate) fn sha256(pieces: &[&[u8]]) -> String {
    let digest = pieces.iter().fold(Sha256::new(), |digest, piece| digest.chain_update(piece)).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
