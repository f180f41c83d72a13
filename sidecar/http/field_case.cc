#include "sidecar/http/field_case.h"

#include <algorithm>

namespace weft::http {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c ^ 0x20) : c; }

struct Spelling {
  bool small = true;  // no capital
  bool title = true;  // capitals where a word begins, and only there
};

Spelling SpellingOf(std::string_view name) {
  Spelling spelling;
  bool word_begins = true;
  for (const char c : name) {
    const bool capital = c >= 'A' && c <= 'Z';
    if (capital) spelling.small = false;
    if (IsLetter(c) && capital != word_begins) spelling.title = false;
    word_begins = c == '-';
  }
  return spelling;
}

void Capitalize(std::span<char> name) {
  bool word_begins = true;
  for (char& c : name) {
    if (word_begins) c = Upper(c);
    word_begins = c == '-';
  }
}

}  // namespace

std::string_view DescribeFieldCase(const Headers& headers, std::string* scratch) {
  size_t small = 0;
  size_t title = 0;
  for (const Headers::Field field : headers) {
    const Spelling spelling = SpellingOf(field.name);
    if (spelling.small) ++small;
    if (spelling.title) ++title;
  }
  if (small == headers.size()) return {};
  const bool mostly_title = title >= small;
  scratch->assign(mostly_title ? "T" : "s");
  if ((mostly_title ? title : small) == headers.size()) return *scratch;
  for (const Headers::Field field : headers) {
    const Spelling spelling = SpellingOf(field.name);
    if (mostly_title ? spelling.title : spelling.small) continue;
    if (scratch->size() + 1 + field.name.size() > kMaxFieldCaseBytes) continue;
    scratch->append(",").append(field.name);
  }
  return *scratch;
}

void RestoreFieldCase(std::string_view description, Headers* headers) {
  if (description.empty() || description.size() > kMaxFieldCaseBytes) return;
  const size_t style_end = std::min(description.find(','), description.size());
  const std::string_view style = description.substr(0, style_end);
  if (style == "T") {
    for (size_t i = 0; i < headers->size(); ++i) Capitalize(headers->MutableName(i));
  } else if (style != "s") {
    return;
  }
  for (std::string_view rest = description.substr(style_end); !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view name = rest.substr(0, rest.find(','));
    rest.remove_prefix(name.size());
    for (size_t i = 0; i < headers->size(); ++i) {
      if (!NamesEqual(headers->at(i).name, name)) continue;
      std::copy(name.begin(), name.end(), headers->MutableName(i).begin());
    }
  }
}

}  // namespace weft::http
