// What is still known of a connection's streams when they are gone.
#ifndef WEFT_SIDECAR_HTTP_H2_CLOSED_STREAMS_H_
#define WEFT_SIDECAR_HTTP_H2_CLOSED_STREAMS_H_

#include <algorithm>
#include <cstdint>

namespace weft::http::h2 {

// A server's memory of streams that its client has opened and that are no more: a few numbers,
// however many streams there were. They tell a frame that comes late from one that is wrong (RFC
// 9113 section 5.1). Where the numbers do not tell, the milder reading holds.
class ClosedStreams {
 public:
  // What a frame is on a stream that is not open.
  enum class Late : uint8_t {
    kUnderway,         // the peer had not heard of our reset
    kAfterItsReset,    // an error of the stream
    kAfterItsEnd,      // an error of the connection
    kOnSkippedNumber,  // the same, of a stream that never was
  };

  void OnOpened(int32_t id) {
    if (id > last_ + 2) {
      skipped_from_ = last_ + 2;
      skipped_to_ = id - 2;
    }
    last_ = std::max(last_, id);
  }
  void OnResetByUs(int32_t id) { reset_by_us_ = std::max(reset_by_us_, id); }
  void OnResetByPeer(int32_t id) { reset_by_peer_ = std::max(reset_by_peer_, id); }

  // The highest number so far.
  int32_t last() const { return last_; }

  // Of a stream that is not open, numbered up to last().
  Late Judge(int32_t id) const {
    if (id >= skipped_from_ && id <= skipped_to_) return Late::kOnSkippedNumber;
    if (id <= reset_by_us_) return Late::kUnderway;
    return id <= reset_by_peer_ ? Late::kAfterItsReset : Late::kAfterItsEnd;
  }

 private:
  int32_t last_ = -1;
  int32_t skipped_from_ = 0;  // the latest gap
  int32_t skipped_to_ = -1;
  int32_t reset_by_us_ = -1;
  int32_t reset_by_peer_ = -1;
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_CLOSED_STREAMS_H_
