#include "control-plane/source/yaml_builder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/source/yaml_scalar.h"

namespace weft::source {
namespace {

using google::protobuf::Value;

constexpr size_t kValueBytes = 64;

// yaml-cpp gives quoted and block scalars the tag "!", plain ones "?".
bool IsQuoted(const std::string& tag) { return tag == "!" || tag == "tag:yaml.org,2002:str"; }

Value NullValue() {
  Value value;
  value.set_null_value(google::protobuf::NULL_VALUE);
  return value;
}

}  // namespace

absl::Status YamlBuilder::ErrorAt(const YAML::Mark& mark, std::string_view message) const {
  return absl::InvalidArgumentError(absl::StrCat(
      "document ", std::max<size_t>(documents_.size(), 1), ": ",
      mark.is_null() ? ""
                     : absl::StrCat("line ", mark.line + 1, ", column ", mark.column + 1, ": "),
      ToAbsl(message)));
}

void YamlBuilder::OnDocumentStart(const YAML::Mark& mark) {
  // A document that begins where the last one did, without anything in between, is none.
  if (!documents_.empty() && mark.pos == document_mark_.pos) {
    Fail(mark, "this does not belong here; is a bracket closed twice?");
  }
  document_mark_ = mark;
  if (documents_.size() == limits_.documents) {
    Exhausted(absl::StrCat("the file has more than ", limits_.documents, " documents"));
  }
  documents_.push_back(NullValue());
  open_.clear();
  anchors_.clear();
}

void YamlBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  if (ExpectsKey()) Fail(mark, "the key of a map must be a string");
  Charge(kValueBytes, 1);
  Deliver(mark, anchor, {.value = NullValue(), .bytes = kValueBytes});
}

void YamlBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  auto it = anchors_.find(anchor);
  if (it == anchors_.end()) Fail(mark, "the alias means the very list or map that it is in");
  if (ExpectsKey()) {
    if (!it->second.value.has_string_value()) Fail(mark, "the key of a map must be a string");
    return TakeKey(mark, it->second.value.string_value(), /*merge=*/false);
  }
  Charge(it->second.bytes, it->second.height);
  Deliver(mark, 0, it->second);
}

void YamlBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                           const std::string& text) {
  Sized sized{.value = {}, .bytes = kValueBytes + text.size()};
  Charge(sized.bytes, 1);
  if (IsQuoted(tag)) {
    sized.value.set_string_value(text);
  } else {
    absl::StatusOr<Value> value = ResolveScalar(text);
    if (ExpectsKey() || !value.ok()) {
      // Keys are text, whatever they look like.
      if (!ExpectsKey()) Fail(mark, ToStd(value.status().message()));
      sized.value.set_string_value(text);
    } else {
      sized.value = *std::move(value);
    }
  }
  if (ExpectsKey()) {
    if (anchor != 0) anchors_[anchor] = sized;
    return TakeKey(mark, text, /*merge=*/text == "<<" && !IsQuoted(tag));
  }
  Deliver(mark, anchor, std::move(sized));
}

void YamlBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                                  YAML::anchor_t anchor, YAML::EmitterStyle::value style) {
  Begin(mark, anchor, /*is_map=*/false);
}

void YamlBuilder::OnSequenceEnd() { End(); }

void YamlBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                             YAML::EmitterStyle::value style) {
  Begin(mark, anchor, /*is_map=*/true);
}

void YamlBuilder::OnMapEnd() { End(); }

void YamlBuilder::Begin(const YAML::Mark& mark, YAML::anchor_t anchor, bool is_map) {
  if (ExpectsKey()) Fail(mark, "the key of a map must be a string");
  Charge(kValueBytes, 1);
  Open& open = open_.emplace_back();
  open.sized.bytes = kValueBytes;
  open.anchor = anchor;
  open.mark = mark;
  open.is_map = is_map;
  if (is_map) {
    open.sized.value.mutable_struct_value();
  } else {
    open.sized.value.mutable_list_value();
  }
}

void YamlBuilder::End() {
  Open open = std::move(open_.back());
  open_.pop_back();
  for (const Sized& source : open.merged) {
    Merge(open.mark, source.value, *open.sized.value.mutable_struct_value());
  }
  Deliver(open.mark, open.anchor, std::move(open.sized));
}

void YamlBuilder::TakeKey(const YAML::Mark& mark, std::string key, bool merge) {
  Open& open = open_.back();
  Charge(key.size(), 1);
  open.sized.bytes += key.size();
  if (!merge && open.sized.value.struct_value().fields().contains(key)) {
    Fail(mark, absl::StrCat("the key \"", key, "\" is given twice"));
  }
  open.key = std::move(key);
  open.merge = merge;
}

void YamlBuilder::Deliver(const YAML::Mark& mark, YAML::anchor_t anchor, Sized sized) {
  if (anchor != 0) {
    Charge(sized.bytes, sized.height);
    anchors_[anchor] = sized;
  }
  if (open_.empty()) {
    documents_.back() = std::move(sized.value);
    return;
  }
  Open& open = open_.back();
  open.sized.bytes += sized.bytes;
  open.sized.height = std::max(open.sized.height, sized.height + 1);
  if (!open.is_map) {
    *open.sized.value.mutable_list_value()->add_values() = std::move(sized.value);
    return;
  }
  if (open.merge) {
    open.merged.push_back(std::move(sized));
  } else {
    (*open.sized.value.mutable_struct_value()->mutable_fields())[*open.key] =
        std::move(sized.value);
  }
  open.key.reset();
}

void YamlBuilder::Merge(const YAML::Mark& mark, const Value& source,
                        google::protobuf::Struct& map) {
  if (source.has_list_value()) {
    for (const Value& item : source.list_value().values()) {
      if (!item.has_struct_value()) Fail(mark, "\"<<\" must merge a map or a list of maps");
      Merge(mark, item, map);
    }
    return;
  }
  if (!source.has_struct_value()) Fail(mark, "\"<<\" must merge a map or a list of maps");
  // Keys that are there already stay as they are.
  for (const auto& [key, value] : source.struct_value().fields()) {
    map.mutable_fields()->insert({key, value});
  }
}

void YamlBuilder::Charge(size_t bytes, size_t height) {
  charged_ += bytes;
  if (charged_ > limits_.expanded_bytes) {
    Exhausted(
        absl::StrCat("more than ", limits_.expanded_bytes, " bytes after aliases are expanded"));
  }
  if (open_.size() + height > limits_.depth) {
    Exhausted(absl::StrCat("nested more than ", limits_.depth, " levels deep"));
  }
}

void YamlBuilder::Fail(const YAML::Mark& mark, std::string_view message) const {
  throw Stop{ErrorAt(mark, message)};
}

void YamlBuilder::Exhausted(std::string_view message) const {
  throw Stop{absl::ResourceExhaustedError(
      absl::StrCat("document ", std::max<size_t>(documents_.size(), 1), ": ", ToAbsl(message)))};
}

}  // namespace weft::source
