#include "engine/dtls/datagram_bio.h"

#include <openssl/bio.h>

#include <algorithm>
#include <cstring>

namespace nexus {

namespace {

DatagramPort* PortOf(BIO* bio) { return static_cast<DatagramPort*>(BIO_get_data(bio)); }

int Read(BIO* bio, char* out, int size) {
  BIO_clear_retry_flags(bio);
  const ByteView input = PortOf(bio)->TakeInput();
  if (input.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const size_t taken = std::min(input.size(), static_cast<size_t>(std::max(size, 0)));
  std::memcpy(out, input.data(), taken);
  return static_cast<int>(taken);
}

int Write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  if (size > 0) PortOf(bio)->PutOutput({reinterpret_cast<const uint8_t*>(bytes), static_cast<size_t>(size)});
  return size;
}

// OpenSSL asks datagram BIOs about MTUs and timeouts; the MTU is set on the SSL, and a BIO needs no time.
long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* MakeMethod() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "nexus datagrams");
  if (method == nullptr) return nullptr;
  BIO_meth_set_read(method, &Read);
  BIO_meth_set_write(method, &Write);
  BIO_meth_set_ctrl(method, &Control);
  return method;
}

}  // namespace

bio_st* MakeDatagramBio(DatagramPort* port) {
  static BIO_METHOD* const method = MakeMethod();  // kept for the life of the process
  BIO* bio = method == nullptr ? nullptr : BIO_new(method);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, port);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace nexus
