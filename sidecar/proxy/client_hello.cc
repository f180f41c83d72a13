#include "sidecar/proxy/client_hello.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "sidecar/io/buffer.h"

namespace weft::proxy {
namespace {

constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr uint8_t kHandshakeRecord = 22;
constexpr uint8_t kClientHello = 1;
constexpr uint16_t kAlpnExtension = 16;

// A cursor over big-endian fields that fails once and stays failed.
class Cursor {
 public:
  explicit Cursor(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  std::optional<uint32_t> Number(size_t size) {
    const std::optional<std::span<const uint8_t>> field = Take(size);
    if (!field) return std::nullopt;
    uint32_t value = 0;
    for (const uint8_t byte : *field) value = value << 8 | byte;
    return value;
  }
  std::optional<std::span<const uint8_t>> Take(size_t size) {
    if (size > bytes_.size()) return std::nullopt;
    const std::span<const uint8_t> taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }
  // A field with its length in front.
  std::optional<std::span<const uint8_t>> Vector(size_t length_size) {
    const std::optional<uint32_t> size = Number(length_size);
    return size ? Take(*size) : std::nullopt;
  }
  bool empty() const { return bytes_.empty(); }

 private:
  std::span<const uint8_t> bytes_;
};

// RFC 7301 section 3.1. Every protocol offered must be ours: an application that happens to know
// one of our names among others still gets its own connection.
bool OffersOnlyMesh(std::span<const uint8_t> extension) {
  Cursor outer(extension);
  const auto list = outer.Vector(2);
  if (!list || list->empty()) return false;
  for (Cursor names(*list); !names.empty();) {
    const auto name = names.Vector(1);
    if (!name || (io::AsText(*name) != "weft/h2" && io::AsText(*name) != "weft/tcp")) return false;
  }
  return true;
}

// RFC 8446 section 4.1.2.
bool IsMeshHello(std::span<const uint8_t> hello) {
  Cursor cursor(hello);
  constexpr size_t kVersionAndRandom = 2 + 32;
  if (!cursor.Take(kVersionAndRandom) || !cursor.Vector(1) || !cursor.Vector(2) ||
      !cursor.Vector(1)) {
    return false;
  }
  const auto extensions = cursor.Vector(2);
  if (!extensions) return false;
  for (Cursor each(*extensions); !each.empty();) {
    const std::optional<uint32_t> type = each.Number(2);
    const auto body = each.Vector(2);
    if (!type || !body) return false;
    if (*type == kAlpnExtension) return OffersOnlyMesh(*body);
  }
  return false;
}

// The hello may be spread over several records; ours never is, so one that is belongs to someone
// else.
Opening ClassifyTls(std::span<const uint8_t> bytes) {
  constexpr size_t kRecordHeader = 5;
  constexpr size_t kHandshakeHeader = 4;
  if (bytes.size() >= 2 && bytes[1] != 3) return Opening::kOther;
  if (bytes.size() >= kRecordHeader + 1 && bytes[kRecordHeader] != kClientHello) {
    return Opening::kForeignTls;
  }
  if (bytes.size() < kRecordHeader + kHandshakeHeader) return Opening::kNeedMore;
  const size_t record = static_cast<size_t>(bytes[3]) << 8 | bytes[4];
  const size_t hello =
      static_cast<size_t>(bytes[6]) << 16 | static_cast<size_t>(bytes[7]) << 8 | bytes[8];
  if (hello + kHandshakeHeader > record || kRecordHeader + record > kMaxOpeningBytes) {
    return Opening::kForeignTls;
  }
  if (bytes.size() < kRecordHeader + kHandshakeHeader + hello) return Opening::kNeedMore;
  return IsMeshHello(bytes.subspan(kRecordHeader + kHandshakeHeader, hello)) ? Opening::kMeshTls
                                                                             : Opening::kForeignTls;
}

// A method (RFC 9110 section 9.1: upper-case letters and '-'; longer than any registered one is
// none) and a space.
Opening ClassifyText(std::string_view text) {
  constexpr size_t kLongestMethod = 20;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ') return i == 0 ? Opening::kOther : Opening::kHttp1;
    if (i >= kLongestMethod || !((c >= 'A' && c <= 'Z') || c == '-')) return Opening::kOther;
  }
  return Opening::kNeedMore;
}

}  // namespace

Opening Classify(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return Opening::kNeedMore;
  if (bytes[0] == kHandshakeRecord) return ClassifyTls(bytes);
  const std::string_view text = io::AsText(bytes);
  const size_t common = std::min(text.size(), kHttp2Preface.size());
  if (text.substr(0, common) == kHttp2Preface.substr(0, common)) {
    return common == kHttp2Preface.size() ? Opening::kHttp2 : Opening::kNeedMore;
  }
  return ClassifyText(text);
}

}  // namespace weft::proxy
