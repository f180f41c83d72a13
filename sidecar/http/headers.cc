#include "sidecar/http/headers.h"

namespace weft::http {
namespace {

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

}  // namespace

bool NamesEqual(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

bool BelongsToConnection(std::string_view name) {
  switch (name.size()) {
    case 4:
      return NamesEqual(name, "host");
    case 7:
      return NamesEqual(name, "upgrade");
    case 10:
      return NamesEqual(name, "connection") || NamesEqual(name, "keep-alive");
    case 14:
      return NamesEqual(name, "content-length") || NamesEqual(name, "http2-settings");
    case 16:
      return NamesEqual(name, "proxy-connection");
    case 17:
      return NamesEqual(name, "transfer-encoding");
    default:
      return false;
  }
}

void Headers::Add(std::string_view name, std::string_view value) {
  const auto offset = static_cast<uint32_t>(bytes_.size());
  bytes_.append(name);
  bytes_.append(value);
  entries_.push_back({.name_offset = offset,
                      .name_size = static_cast<uint32_t>(name.size()),
                      .value_offset = static_cast<uint32_t>(offset + name.size()),
                      .value_size = static_cast<uint32_t>(value.size())});
}

void Headers::Set(std::string_view name, std::string_view value) {
  Remove(name);
  Add(name, value);
}

size_t Headers::Remove(std::string_view name) {
  size_t kept = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (NamesEqual(at(i).name, name)) continue;
    entries_[kept++] = entries_[i];
  }
  const size_t removed = entries_.size() - kept;
  entries_.resize(kept);
  return removed;
}

std::optional<std::string_view> Headers::Get(std::string_view name) const {
  for (const Field field : *this) {
    if (NamesEqual(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::optional<std::string_view> Headers::GetJoined(std::string_view name,
                                                   std::string* scratch) const {
  std::optional<std::string_view> first;
  bool joined = false;
  const std::string_view separator = NamesEqual(name, "cookie") ? "; " : ", ";
  for (const Field field : *this) {
    if (!NamesEqual(field.name, name)) continue;
    if (!first) {
      first = field.value;
      continue;
    }
    if (!joined) scratch->assign(*first);
    joined = true;
    scratch->append(separator).append(field.value);
  }
  return joined ? std::optional<std::string_view>(*scratch) : first;
}

}  // namespace weft::http
