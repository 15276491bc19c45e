#include "bench/ciphers/candidates.h"

#include "bench/ciphers/foreign_gcm.h"
#include "engine/srtp/gcm_transform.h"

namespace nexus::ciphers {
namespace {

template <const ForeignGcm* (*Library)()>
class ForeignAead {
 public:
  ForeignAead() = default;
  ~ForeignAead() {
    if (context_ != nullptr) Library()->free(context_);
  }
  ForeignAead(const ForeignAead&) = delete;
  ForeignAead& operator=(const ForeignAead&) = delete;

  bool Init(const std::array<uint8_t, 16>& key, SrtpDirection) {
    context_ = Library()->make(key.data());
    return context_ != nullptr;
  }
  // Prefetches the round keys and the powers of the hash key that a packet of 1,200 bytes reads.
  void Prefetch() const { PrefetchForRead(context_, 10 * kCacheLine); }
  bool Seal(const GcmNonce& nonce, ByteView associated, ByteView plain, uint8_t* out) {
    return Library()->seal(context_, nonce.data(), ToPiece(associated), ToPiece(plain), out);
  }
  bool Open(const GcmNonce& nonce, ByteView associated, MutableByteView body, uint8_t* tag) {
    return Library()->open(context_, nonce.data(), ToPiece(associated), body.data(), body.size(), tag);
  }

 private:
  static Piece ToPiece(ByteView bytes) { return {bytes.data(), bytes.size()}; }
  void* context_ = nullptr;
};

}  // namespace

std::vector<Candidate> Candidates() {
  std::vector<Candidate> found = {{"openssl", &MakeOpenSslGcm}};
  if (IsAvailable(GcmLibrary::kIpsecMb)) found.push_back({"intel-ipsec-mb", &MakeIpsecMbGcm});
#ifdef NEXUS_BENCH_AWS_LC
  found.push_back({"aws-lc", &MakeGcmTransformWith<ForeignAead<&NexusAwsLcGcm>>});
#endif
#ifdef NEXUS_BENCH_BORINGSSL
  found.push_back({"boringssl", &MakeGcmTransformWith<ForeignAead<&NexusBoringSslGcm>>});
#endif
  return found;
}

}  // namespace nexus::ciphers
