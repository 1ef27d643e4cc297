//! The Merkle tree of RFC 6962, of which only its right edge is kept.

use std::fmt;

use ring::digest::{Context, SHA256};

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// The hash of one line as a leaf of the tree.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct LeafHash([u8; HASH_BYTES]);

/// The hash that stands for a whole tree.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct RootHash([u8; HASH_BYTES]);

/// A tree that can grow: its size and the roots of its complete subtrees, largest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tree {
    size: u64,
    peaks: Vec<[u8; HASH_BYTES]>,
}

/// Bytes that are no stored tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the stored right edge of the audit tree does not fit its size")]
pub struct TreeError;

macro_rules! hash {
    ($name:ident) => {
        impl $name {
            /// The hash of these bytes.
            pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
                &self.0
            }

            /// Reads 64 lower-case hexadecimal digits.
            pub fn parse_hex(text: &str) -> Option<Self> {
                let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

hash!(LeafHash);
hash!(RootHash);

impl LeafHash {
    /// What entry 0 has for the hash of the line before it.
    pub const NONE: Self = Self([0; HASH_BYTES]);
}

/// `SHA-256(0x00 ‖ line)`.
pub fn leaf_hash(line: &[u8]) -> LeafHash {
    LeafHash(hashed(&[&[0], line]))
}

impl Tree {
    /// The tree of no leaves.
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf after the last.
    pub fn push(&mut self, leaf: LeafHash) {
        let mut node = leaf.0;
        let mut complete = self.size;
        while complete & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                node = hashed(&[&[1], &left, &node]);
            }
            complete >>= 1;
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root of all leaves; of none, the hash of nothing.
    pub fn root(&self) -> RootHash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return RootHash(hashed(&[]));
        };
        RootHash(peaks.fold(*last, |right, left| hashed(&[&[1], left, &right])))
    }

    /// The tree as bytes: size, then the roots of its complete subtrees.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.peaks.iter().flatten());
        bytes
    }

    /// Reads [`Tree::to_bytes`]. Whether it is the right tree, its root tells.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TreeError> {
        let (size, peaks) = bytes.split_first_chunk().ok_or(TreeError)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, rest) = peaks.as_chunks();
        let expected = usize::try_from(size.count_ones()).map_err(|_| TreeError)?;
        if !rest.is_empty() || peaks.len() != expected {
            return Err(TreeError);
        }
        Ok(Self { size, peaks: peaks.to_vec() })
    }
}

fn hashed(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; HASH_BYTES];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// The leaves and roots of the reference tests of Certificate Transparency.
    const PUBLISHED: [(&str, &str); 8] = [
        ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (
            "606162636465666768696a6b6c6d6e6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    #[test]
    fn roots_are_those_published_for_certificate_transparency() {
        let mut tree = Tree::new();
        assert_eq!(
            tree.root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (leaf, root) in PUBLISHED {
            tree.push(leaf_hash(&HEXLOWER.decode(leaf.as_bytes()).unwrap()));
            assert_eq!(tree.root().to_string(), root);
        }
    }

    #[test]
    fn a_tree_reads_back_as_it_is_written_and_grows_on() {
        let mut tree = Tree::new();
        for n in 0..300_u32 {
            let mut copy = Tree::from_bytes(&tree.to_bytes()).unwrap();
            assert_eq!(copy, tree);
            copy.push(leaf_hash(&n.to_be_bytes()));
            tree.push(leaf_hash(&n.to_be_bytes()));
            assert_eq!(copy.root(), tree.root());
        }
        let bytes = tree.to_bytes();
        for bad in [
            &[][..],
            &bytes[..7],
            &bytes[..bytes.len() - 1],
            &[bytes.as_slice(), &[0; 32]].concat(),
        ] {
            assert_eq!(Tree::from_bytes(bad), Err(TreeError));
        }
    }
}
