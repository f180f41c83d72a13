#include "injector/patch/yaml.h"

#include <exception>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace weft::inject {
namespace {

// Ends the parser from inside; ParseYaml catches it.
struct Stop {
  absl::Status status;
};

// yaml-cpp gives quoted and block scalars the tag "!", plain ones "?".
bool IsQuoted(const std::string& tag) { return tag == "!" || tag == "tag:yaml.org,2002:str"; }

// Builds values from the parser's events. yaml-cpp's own tree is not used: nothing bounds what
// aliases expand to there.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(const YamlLimits& limits) : limits_(limits) {}

  std::vector<Json> TakeDocuments() { return std::move(documents_); }

  absl::Status ErrorAt(const YAML::Mark& mark, std::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat(
        "document ", std::max<size_t>(documents_.size(), 1), ": ",
        mark.is_null() ? ""
                       : absl::StrCat("line ", mark.line + 1, ", column ", mark.column + 1, ": "),
        ToAbsl(message)));
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // After a stray closing bracket the parser delivers empty documents for ever.
    if (!documents_.empty() && mark.pos == document_position_) {
      Fail(mark, "this does not belong here; is a bracket closed twice?");
    }
    document_position_ = mark.pos;
    if (documents_.size() == limits_.documents) Exhausted("documents");
    documents_.emplace_back();
    open_.clear();
    anchors_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (ExpectsKey()) return TakeKey(mark, "null", false);
    Deliver(mark, anchor, nullptr, 1);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) Fail(mark, "the alias means the very list or map that it is in");
    const auto& [value, size] = it->second;
    if (ExpectsKey()) {
      if (!value.is_string()) Fail(mark, "the key of a map must be a string");
      return TakeKey(mark, value.get<std::string>(), false);
    }
    Deliver(mark, 0, value, size);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (ExpectsKey()) {  // keys are text, whatever they look like
      if (anchor != 0) anchors_[anchor] = {text, 1};
      return TakeKey(mark, text, text == "<<" && !IsQuoted(tag));
    }
    Deliver(mark, anchor, IsQuoted(tag) ? Json(text) : ResolveScalar(text), 1);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    Begin(mark, anchor, Json::array());
  }
  void OnSequenceEnd() override { End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    Begin(mark, anchor, Json::object());
  }
  void OnMapEnd() override { End(); }

 private:
  // A list or map that is being read.
  struct Open {
    Json value;
    size_t size = 1;  // values in it, itself included
    YAML::anchor_t anchor = 0;
    YAML::Mark mark;
    std::optional<std::string> key;  // of the value that comes next
    bool merge = false;              // that key is "<<"
    std::vector<Json> merged;
  };

  bool ExpectsKey() const {
    return !open_.empty() && open_.back().value.is_object() && !open_.back().key;
  }

  void Begin(const YAML::Mark& mark, YAML::anchor_t anchor, Json value) {
    if (ExpectsKey()) Fail(mark, "the key of a map must be a string");
    if (open_.size() == limits_.depth) Exhausted("levels");
    Open& open = open_.emplace_back();
    open.value = std::move(value);
    open.anchor = anchor;
    open.mark = mark;
  }

  void End() {
    Open open = std::move(open_.back());
    open_.pop_back();
    for (const Json& source : open.merged) Merge(open.mark, source, open.value);
    Deliver(open.mark, open.anchor, std::move(open.value), open.size);
  }

  void TakeKey(const YAML::Mark& mark, const std::string& key, bool merge) {
    Open& open = open_.back();
    if (!merge && open.value.contains(key)) {
      Fail(mark, absl::StrCat("the key \"", key, "\" is given twice"));
    }
    open.key = key;
    open.merge = merge;
  }

  // Puts a finished value where it belongs: into the open list or map, or the document.
  void Deliver(const YAML::Mark& mark, YAML::anchor_t anchor, Json value, size_t size) {
    values_ += size;
    if (values_ > limits_.values) Exhausted("values");
    if (anchor != 0) {
      values_ += size;
      anchors_[anchor] = {value, size};
    }
    if (open_.empty()) {
      documents_.back() = std::move(value);
      return;
    }
    Open& open = open_.back();
    open.size += size;
    if (open.value.is_array()) {
      open.value.push_back(std::move(value));
      return;
    }
    if (open.merge) {
      open.merged.push_back(std::move(value));
    } else {
      open.value[*open.key] = std::move(value);
    }
    open.key.reset();
  }

  void Merge(const YAML::Mark& mark, const Json& source, Json& map) const {
    if (source.is_array()) {
      for (const Json& item : source) {
        if (!item.is_object()) Fail(mark, "\"<<\" must merge a map or a list of maps");
        Merge(mark, item, map);
      }
      return;
    }
    if (!source.is_object()) Fail(mark, "\"<<\" must merge a map or a list of maps");
    // Keys that are there already stay as they are.
    for (const auto& [key, value] : source.items()) {
      if (!map.contains(key)) map[key] = value;
    }
  }

  [[noreturn]] void Fail(const YAML::Mark& mark, std::string_view message) const {
    throw Stop{ErrorAt(mark, message)};
  }
  [[noreturn]] void Exhausted(std::string_view what) const {
    throw Stop{absl::ResourceExhaustedError(absl::StrCat(
        "document ", std::max<size_t>(documents_.size(), 1), ": too many ", ToAbsl(what)))};
  }

  const YamlLimits& limits_;
  std::vector<Json> documents_;
  std::vector<Open> open_;
  absl::flat_hash_map<YAML::anchor_t, std::pair<Json, size_t>> anchors_;
  size_t values_ = 0;
  int document_position_ = -1;
};

}  // namespace

absl::StatusOr<std::vector<Json>> ParseYaml(std::string_view text, const YamlLimits& limits) {
  if (text.size() > limits.bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the text is larger than ", limits.bytes, " bytes"));
  }
  Builder builder(limits);
  // yaml-cpp reports errors by exceptions, and so does the builder towards it; they end here.
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.TakeDocuments();
  } catch (const Stop& stop) {
    return stop.status;
  } catch (const YAML::Exception& error) {
    return builder.ErrorAt(error.mark, error.msg);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace weft::inject
