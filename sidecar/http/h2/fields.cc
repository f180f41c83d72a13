#include "sidecar/http/h2/fields.h"

#include <charconv>

namespace weft::http::h2 {
namespace {

bool StaysBehind(std::string_view name, std::string_view value) {
  return BelongsToConnection(name) || NamesEqual(name, kNotUpgraded) ||
         (NamesEqual(name, "te") && !NamesEqual(value, "trailers"));
}

uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
}

}  // namespace

bool IsUpgrade(const RequestHead& head) { return !head.upgrade.empty() && head.method == "GET"; }

void FieldBlock::Add(std::string_view name, std::string_view value, uint8_t flags) {
  fields_.push_back({.name = Bytes(name),
                     .value = Bytes(value),
                     .namelen = name.size(),
                     .valuelen = value.size(),
                     .flags = flags});
}

void FieldBlock::AddFields(const Headers& headers) {
  for (const Headers::Field field : headers) {
    if (!StaysBehind(field.name, field.value)) Add(field.name, field.value);
  }
}

void FieldBlock::AddLength(std::optional<uint64_t> length) {
  if (!length) return;
  const auto end = std::to_chars(length_.data(), length_.data() + length_.size(), *length).ptr;
  AddStatic("content-length", {length_.data(), end});
}

void FieldBlock::SetRequest(const RequestHead& head) {
  fields_.clear();
  const std::string_view authority =
      head.authority.empty() ? kNoAuthority : std::string_view(head.authority);
  const bool upgrade = IsUpgrade(head);
  if (head.method == "CONNECT") {
    AddStatic(":method", head.method);
    AddStatic(":authority", authority);
  } else {
    AddStatic(":method", upgrade ? std::string_view("CONNECT") : std::string_view(head.method));
    if (upgrade) AddStatic(":protocol", head.upgrade);
    AddStatic(":scheme", head.scheme.empty() ? std::string_view("http") : head.scheme);
    AddStatic(":authority", authority);
    AddStatic(":path", head.path);
  }
  AddFields(head.headers);
  if (!upgrade) AddLength(head.content_length);
}

void FieldBlock::SetResponse(const ResponseHead& head, bool to_upgrade) {
  fields_.clear();
  const int status = head.status == 101 ? 200 : head.status;
  for (int i = 2, rest = status; i >= 0; --i, rest /= 10) {
    status_[i] = static_cast<char>('0' + rest % 10);
  }
  const std::string_view text(status_.data(), 3);
  AddStatic(":status", text);
  if (to_upgrade && head.status / 100 == 2) AddStatic(kNotUpgraded, text);
  AddFields(head.headers);
  if (head.status / 100 != 1 && head.status != 204) AddLength(head.content_length);
}

void FieldBlock::SetTrailers(const Headers& trailers) {
  fields_.clear();
  AddFields(trailers);
}

bool FieldBlock::Fits(size_t max_bytes) const {
  constexpr size_t kMaxFieldBytes = 60'000;
  size_t bytes = 0;
  for (const nghttp2_nv& field : fields_) {
    if (field.namelen + field.valuelen > kMaxFieldBytes) return false;
    bytes += field.namelen + field.valuelen + kFieldOverhead;
  }
  return bytes <= max_bytes;
}

FieldBlock& ScratchBlock() {
  static thread_local FieldBlock block;
  return block;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.size() > 19) {
    return std::nullopt;
  }
  return number;
}

}  // namespace weft::http::h2
