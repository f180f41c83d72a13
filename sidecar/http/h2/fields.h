// Heads as HTTP/2 has them: pseudo-headers and fields (RFC 9113 section 8).
//
// Fields that compress: nghttp2 itself never indexes `authorization` and `cookie` shorter than 20
// bytes, and indexes the others. The side channel of indexing a secret (RFC 7541 section 7.1) is
// open only to who puts guesses into the same connection and sees its sizes; on connections between
// sidecars that is the application that has the secret already, and indexing saves most of a
// request's bytes.
#ifndef WEFT_SIDECAR_HTTP_H2_FIELDS_H_
#define WEFT_SIDECAR_HTTP_H2_FIELDS_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "nghttp2/nghttp2.h"
#include "sidecar/http/message.h"

namespace weft::http::h2 {

// What each field counts beside its bytes (RFC 9113 section 6.5.2).
inline constexpr size_t kFieldOverhead = 32;

// Stands for the authority of a request that has none (HTTP/1.0), which HTTP/2 cannot say.
// ".invalid" is nobody's (RFC 6761 section 6.4).
inline constexpr std::string_view kNoAuthority = "no-authority.invalid";

// An application may ignore that it was asked to switch protocols and just answer; in HTTP/2 a 2xx
// says that it has switched (RFC 8441 section 5). This field says that it has not; its value is the
// status.
inline constexpr std::string_view kNotUpgraded = "weft-not-upgraded";

// The request asks for another protocol and travels as an extended CONNECT (RFC 8441).
bool IsUpgrade(const RequestHead& head);

// The fields of one head, in the form in which nghttp2 takes them: views of the head, to be
// submitted while it is unchanged. Meant to be kept and used again. Leaves out what may not travel
// (RFC 9113 section 8.2.2).
class FieldBlock {
 public:
  void SetRequest(const RequestHead& head);
  // `to_upgrade`: the request asked for another protocol.
  void SetResponse(const ResponseHead& head, bool to_upgrade);
  void SetTrailers(const Headers& trailers);

  const nghttp2_nv* data() const { return fields_.data(); }
  size_t size() const { return fields_.size(); }

  // Within `max_bytes` (counted as RFC 9113 section 6.5.2 does), and no field so large that no
  // HPACK decoder of the usual libraries would take it: that would cost the whole connection.
  bool Fits(size_t max_bytes) const;

 private:
  void Add(std::string_view name, std::string_view value, uint8_t flags = NGHTTP2_NV_FLAG_NONE);
  // A name that lives for ever.
  void AddStatic(std::string_view name, std::string_view value) {
    Add(name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
  }
  void AddFields(const Headers& headers);
  void AddLength(std::optional<uint64_t> length);

  std::vector<nghttp2_nv> fields_;
  std::array<char, 4> status_;
  std::array<char, 20> length_;
};

// The block of this thread, for one head at a time.
FieldBlock& ScratchBlock();

// A decimal number of at most 19 digits.
std::optional<uint64_t> ParseNumber(std::string_view text);

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_FIELDS_H_
