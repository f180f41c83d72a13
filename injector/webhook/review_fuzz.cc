// Whatever is posted to the webhook: it ends with an answer, and every patch applies.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "injector/patch/yaml.h"
#include "injector/webhook/mutate.h"
#include "injector/webhook/review.h"
#include "injector/webhook/validate.h"

namespace weft::webhook {
namespace {

class EnabledNamespaces final : public NamespaceSource {
 public:
  absl::StatusOr<inject::NamespaceFacts> Find(const std::string& name) override {
    return inject::NamespaceFacts{name, {{"weft.io/inject", "enabled"}}, {}};
  }
};

void AnswerReview(std::string_view body) {
  static EnabledNamespaces namespaces;
  static Metrics& metrics = *new Metrics;
  static Mutator& mutator = *new Mutator(inject::Settings(), namespaces, metrics);
  static const Validator& validator = *new Validator(
      [](const std::string&, const std::string&) -> absl::StatusOr<std::string> {
        return R"({"metadata":{"name":"s"},"spec":{"selector":{"a":"b"},"ports":[{"port":80}]}})";
      },
      metrics);
  const absl::StatusOr<Review> review = ParseReview(body);
  if (!review.ok()) return;
  const auto mutated = mutator.Decide(*review);
  RenderAnswer(review->uid, mutated);
  if (!mutated.patch.empty() && review->object.patch(mutated.patch).is_null()) std::abort();
  RenderAnswer(review->uid, validator.Decide(*review));
}

}  // namespace
}  // namespace weft::webhook

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  weft::webhook::AnswerReview(bytes);
  const auto documents =
      weft::inject::ParseYaml(bytes, {.bytes = 1 << 20, .documents = 100, .values = 10'000});
  if (!documents.ok()) return 0;
  for (const auto& document : *documents) {
    // What is written reads as the same.
    const auto again = weft::inject::ParseYaml(weft::inject::EmitYaml(document));
    if (!again.ok() || again->size() != 1 ||
        weft::inject::Dump(again->front()) != weft::inject::Dump(document)) {
      std::abort();
    }
  }
  return 0;
}
