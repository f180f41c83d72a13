// What the first bytes of a connection tell, before anything is answered.
#ifndef WEFT_SIDECAR_PROXY_CLIENT_HELLO_H_
#define WEFT_SIDECAR_PROXY_CLIENT_HELLO_H_

#include <cstdint>
#include <span>

namespace weft::proxy {

// What a client has opened with.
enum class Opening : uint8_t {
  kNeedMore,    // more bytes are needed to tell
  kMeshTls,     // a ClientHello that offers only protocols of the mesh
  kForeignTls,  // any other TLS
  kHttp1,       // a request line
  kHttp2,       // the connection preface of RFC 9113 section 3.4
  kOther,
};

// Looks at the first bytes; never reads beyond them. A ClientHello longer than
// kMaxOpeningBytes is foreign: our own sidecars send less than one kilobyte.
Opening Classify(std::span<const uint8_t> bytes);

// More bytes than this are never needed to classify.
inline constexpr size_t kMaxOpeningBytes = 16 * 1024;

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_CLIENT_HELLO_H_
