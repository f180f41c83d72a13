// The headers of frames in a stream of bytes (RFC 9113 section 4.1).
#ifndef WEFT_SIDECAR_HTTP_H2_FRAME_HEADERS_H_
#define WEFT_SIDECAR_HTTP_H2_FRAME_HEADERS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::http::h2 {

// Follows the frames and looks at nothing but their headers. What is no frame is for the parser to
// find.
class FrameHeaders {
 public:
  static constexpr size_t kBytes = 9;

  // `skip`: what comes before the first frame.
  explicit FrameHeaders(size_t skip) : left_(skip) {}

  // Takes bytes up to the end of the next header, or all of them; returns how many.
  size_t Advance(std::span<const uint8_t> bytes) {
    if (held_ == kBytes) held_ = 0;
    size_t taken = std::min(left_, bytes.size());
    left_ -= taken;
    const size_t more = left_ > 0 ? 0 : std::min(kBytes - held_, bytes.size() - taken);
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(taken), more, header_.begin() + held_);
    held_ += more;
    if (complete()) left_ = size_t{header_[0]} << 16 | size_t{header_[1]} << 8 | header_[2];
    return taken + more;
  }

  // The last byte of a header has just been taken, and the next may be asked.
  bool complete() const { return held_ == kBytes; }
  uint8_t type() const { return header_[3]; }
  int32_t stream_id() const {
    return (header_[5] & 0x7f) << 24 | header_[6] << 16 | header_[7] << 8 | header_[8];
  }

 private:
  size_t left_;  // of the payload, or of what comes before the first frame
  size_t held_ = 0;
  std::array<uint8_t, kBytes> header_{};
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_FRAME_HEADERS_H_
