// RFC 3711 appendix B, RFC 7714 sections 16.1.1 and 17.1, RFC 2202 section 3.
#pragma once

namespace nexus::vectors {

namespace rfc3711 {
// B.2: AES-CM key stream with SSRC 0 and index 0.
inline constexpr char kSessionKey[] = "2B7E151628AED2A6ABF7158809CF4F3C";
inline constexpr char kSessionSalt[] = "F0F1F2F3F4F5F6F7F8F9FAFBFCFD";
inline constexpr char kKeyStream[] =
    "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
// B.3: key derivation.
inline constexpr char kMasterKey[] = "E1F97A0D3E018BE0D64FA32C06DE4139";
inline constexpr char kMasterSalt[] = "0EC675AD498AFEEBB6960B3AABE6";
inline constexpr char kCipherKey[] = "C61E7A93744F39EE10734AFE3FF7A087";
inline constexpr char kCipherSalt[] = "30CBBC08863D8C85D49DB34A9AE1";
inline constexpr char kAuthKey[] = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4";
}  // namespace rfc3711

namespace rfc7714 {
inline constexpr char kSessionKey[] = "00010203 04050607 08090a0b 0c0d0e0f";
inline constexpr char kSessionSalt[] = "51756964 2070726f 2071756f";
// 16.1.1: roll-over counter 0.
inline constexpr char kRtp[] =
    "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070"
    "61727465 73207472 6573";
inline constexpr char kSrtp[] =
    "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a"
    "51c7d19b 36de3adf 8833 899d7f27 beb16a91 52cf765e e4390cce";
// 17.1: SRTCP index 0x5d4.
inline constexpr char kRtcp[] =
    "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef"
    "deadbeef deadbeef deadbeef";
inline constexpr char kSrtcp[] =
    "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda"
    "4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
}  // namespace rfc7714

namespace rfc2202 {
inline constexpr char kKey1[] = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";
inline constexpr char kDigest1[] = "b617318655057264e28bc0b6fb378c8ef146be00";  // of "Hi There"
inline constexpr char kDigest2[] =
    "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";  // "Jefe", "what do ya want for nothing?"
}  // namespace rfc2202

}  // namespace nexus::vectors
