//! Key pairs: the private part as PKCS#8, the public part as `SubjectPublicKeyInfo`, both as PEM.

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rsa::RsaPrivateKey;
use rsa::pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use rsa::pkcs8::der::pem::PemLabel as _;
use rsa::pkcs8::der::{Encode as _, EncodePem as _};
use rsa::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use rsa::pkcs8::{
    EncodePrivateKey as _, EncodePublicKey as _, LineEnding, ObjectIdentifier, PrivateKeyInfo,
    SecretDocument,
};
use vouchsafe_core::secret::SecretBytes;
use zeroize::Zeroizing;

use super::{Made, MakeError};
use crate::vault::random;

/// RFC 8410.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// An Ed25519 key pair. The private key has the form of RFC 5208, without the public one in it:
/// the form that has both is one that OpenSSL does not read.
pub(super) fn ed25519() -> Result<Made, MakeError> {
    let seed = Zeroizing::new(random::bytes::<32>()?);
    let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| MakeError)?;
    let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };

    let seed = OctetStringRef::new(&*seed).map_err(|_| MakeError)?;
    let seed = Zeroizing::new(seed.to_der().map_err(|_| MakeError)?);
    let private = SecretDocument::try_from(PrivateKeyInfo::new(algorithm, &seed));
    let private = private.map_err(|_| MakeError)?;
    let private = private.to_pem(PrivateKeyInfo::PEM_LABEL, LineEnding::LF);

    let public = BitStringRef::from_bytes(pair.public_key().as_ref()).map_err(|_| MakeError)?;
    let public = SubjectPublicKeyInfoRef { algorithm, subject_public_key: public };
    made(&private.map_err(|_| MakeError)?, public.to_pem(LineEnding::LF).map_err(|_| MakeError)?)
}

/// An RSA key pair with the public exponent 65537. Takes seconds.
pub(super) fn rsa(bits: usize) -> Result<Made, MakeError> {
    // The same source of randomness as everywhere, through the interface that this crate has.
    let private = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).map_err(|_| MakeError)?;
    let public = private.to_public_key().to_public_key_pem(LineEnding::LF);
    let private = private.to_pkcs8_pem(LineEnding::LF).map_err(|_| MakeError)?;
    made(&private, public.map_err(|_| MakeError)?)
}

fn made(private: &Zeroizing<String>, public: String) -> Result<Made, MakeError> {
    let value = SecretBytes::value(private.as_bytes().to_vec()).map_err(|_| MakeError)?;
    Ok(Made { value, public_key: Some(public) })
}
