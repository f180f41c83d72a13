// Builds JSON values from the events of a YAML parser, counting as it goes.
#ifndef WEFT_CONTROL_PLANE_SOURCE_YAML_BUILDER_H_
#define WEFT_CONTROL_PLANE_SOURCE_YAML_BUILDER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "control-plane/source/yaml.h"
#include "google/protobuf/struct.pb.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/mark.h"

namespace weft::source {

// One stream of documents. yaml-cpp's own tree is not used: it neither bounds what aliases expand
// to nor ends at a stray closing bracket, after which its parser delivers empty documents for ever.
class YamlBuilder final : public YAML::EventHandler {
 public:
  using Value = google::protobuf::Value;

  // Thrown through the parser to end it; ParseYaml catches it.
  struct Stop {
    absl::Status status;
  };

  explicit YamlBuilder(const YamlLimits& limits) : limits_(limits) {}

  std::vector<Value> TakeDocuments() { return std::move(documents_); }

  // InvalidArgument: "document 2: line 7, column 3: ...".
  absl::Status ErrorAt(const YAML::Mark& mark, std::string_view message) const;

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override;
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override;

 private:
  // A value and what it costs to have it once more.
  struct Sized {
    Value value;
    size_t bytes = 0;  // as YamlLimits counts
    size_t height = 1;
  };

  // A list or map that is being read.
  struct Open {
    Sized sized;
    YAML::anchor_t anchor = 0;
    YAML::Mark mark;
    bool is_map = false;
    std::optional<std::string> key;  // of the value that comes next
    bool merge = false;              // that key is "<<"
    std::vector<Sized> merged;
  };

  bool ExpectsKey() const { return !open_.empty() && open_.back().is_map && !open_.back().key; }
  void Begin(const YAML::Mark& mark, YAML::anchor_t anchor, bool is_map);
  void End();
  void TakeKey(const YAML::Mark& mark, std::string key, bool merge);
  // Puts a finished value where it belongs: into the open list or map, or the document.
  void Deliver(const YAML::Mark& mark, YAML::anchor_t anchor, Sized sized);
  void Merge(const YAML::Mark& mark, const Value& source, google::protobuf::Struct& map);
  // Accounts for a value that is made or copied, `height` levels high.
  void Charge(size_t bytes, size_t height);
  [[noreturn]] void Fail(const YAML::Mark& mark, std::string_view message) const;
  [[noreturn]] void Exhausted(std::string_view message) const;

  const YamlLimits& limits_;
  std::vector<Value> documents_;
  std::vector<Open> open_;
  absl::flat_hash_map<YAML::anchor_t, Sized> anchors_;
  size_t charged_ = 0;
  YAML::Mark document_mark_ = YAML::Mark::null_mark();
};

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_YAML_BUILDER_H_
