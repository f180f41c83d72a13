// Watch events, pages of lists and objects of an API server, as far as we read them ourselves.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "control-plane/source/kubernetes_event.h"
#include "control-plane/source/prune.h"

namespace {

using weft::source::NameOf;
using weft::source::PruneObject;

// What is left of valid JSON is valid JSON.
void Prune(std::string_view object, weft::store::Kind kind) {
  absl::StatusOr<std::string> pruned = PruneObject(object, kind);
  const bool valid = nlohmann::json::accept(object);
  if (valid && object.starts_with('{') && !pruned.ok() &&
      pruned.status().message().find("byte") == absl::string_view::npos) {
    std::abort();
  }
  if (valid && pruned.ok() && !nlohmann::json::accept(*pruned)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (absl::StatusOr<weft::source::WatchEvent> event = weft::source::ParseWatchEvent(text);
      event.ok()) {
    static_cast<void>(NameOf(event->object));
    Prune(event->object, weft::store::Kind::kPod);
  }
  static_cast<void>(weft::source::ParseListPage(
      text, [](std::string_view item) { Prune(item, weft::store::Kind::kService); }));
  Prune(text, weft::store::Kind::kPod);
  Prune(text, weft::store::Kind::kTrafficSplit);
  return 0;
}
