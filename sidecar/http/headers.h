// The header fields of one HTTP message, in order, in one growing buffer.
#ifndef WEFT_SIDECAR_HTTP_HEADERS_H_
#define WEFT_SIDECAR_HTTP_HEADERS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::http {

// Compares header names: ASCII letters in either case are equal (RFC 9110 section 5.1).
bool NamesEqual(std::string_view a, std::string_view b);

// A field that concerns one connection, or frames or routes a message: whoever writes a message
// writes it himself, wherever the message came from (RFC 9110 section 7.6.1).
bool BelongsToConnection(std::string_view name);

// An ordered list of fields that owns their bytes. Clear() keeps the memory, so an object that is
// reused allocates nothing once it has grown. Views that it returns are valid until the next
// change. One thread.
class Headers {
 public:
  struct Field {
    std::string_view name;  // as it came (HTTP/1 keeps its case)
    std::string_view value;
  };

  class Iterator {
   public:
    Iterator(const Headers* headers, size_t index) : headers_(headers), index_(index) {}
    Field operator*() const { return headers_->at(index_); }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    const Headers* headers_;
    size_t index_;
  };

  // Copies both. The field goes last.
  void Add(std::string_view name, std::string_view value);

  // Replaces every field of that name by one, which goes last.
  void Set(std::string_view name, std::string_view value);

  // Removes every field of that name; returns how many there were.
  size_t Remove(std::string_view name);

  // The first field's value, if there is one.
  std::optional<std::string_view> Get(std::string_view name) const;
  bool Has(std::string_view name) const { return Get(name).has_value(); }

  // All values of that name joined as one recipient may join them: by ", ", `cookie` by "; " (RFC
  // 9110 section 5.3, RFC 9113 section 8.2.3). The view points into *this or, where joining was
  // needed, into *scratch. Nothing if there is no such field.
  std::optional<std::string_view> GetJoined(std::string_view name, std::string* scratch) const;

  Field at(size_t index) const {
    const Entry& e = entries_[index];
    const char* base = bytes_.data();
    return {{base + e.name_offset, e.name_size}, {base + e.value_offset, e.value_size}};
  }
  // For another spelling of the same name.
  std::span<char> MutableName(size_t index) {
    const Entry& e = entries_[index];
    return {bytes_.data() + e.name_offset, e.name_size};
  }
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  // Bytes of names and values ever added since Clear().
  size_t bytes() const { return bytes_.size(); }
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, entries_.size()}; }

  void Clear() {
    entries_.clear();
    bytes_.clear();
  }

 private:
  struct Entry {
    uint32_t name_offset;
    uint32_t name_size;
    uint32_t value_offset;
    uint32_t value_size;
  };

  std::vector<Entry> entries_;
  std::string bytes_;
};

}  // namespace weft::http

#endif  // WEFT_SIDECAR_HTTP_HEADERS_H_
