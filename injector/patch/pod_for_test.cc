#include "injector/patch/pod_for_test.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace weft::inject {
namespace {

void Require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

}  // namespace

Json PodFrom(const std::string& yaml) {
  const absl::StatusOr<std::vector<Json>> documents = ParseYaml(yaml);
  Require(documents.ok() && documents->size() == 1,
          absl::StrCat("no pod: ", yaml, documents.status().ToString()));
  return documents->front();
}

Injection InjectInShop(const Json& pod, const Settings& settings) {
  NamespaceFacts shop{.name = "shop", .annotations = {{"weft.io/inject", "enabled"}}, .labels = {}};
  return Inject(pod, shop, settings);
}

Json Injected(const Json& pod, const Settings& settings) {
  const Injection injection = InjectInShop(pod, settings);
  Require(
      injection.decision.verdict == Verdict::kInject,
      absl::StrCat("not injected: ", injection.decision.field, ": ", injection.decision.message));
  return pod.patch(injection.patch);
}

Json ContainerOf(const Json& pod, const std::string& name) {
  Json found;
  ForEachContainer(pod, [&](std::string_view, size_t, const Json& container) {
    if (StringAt(container, "name") == name) found = container;
  });
  return found;
}

std::string NamesOf(const Json& pod, const std::string& list) {
  std::string names;
  for (const Json& container : ArrayAt(*Find(pod, "spec"), list)) {
    absl::StrAppend(&names, names.empty() ? "" : " ", StringAt(container, "name"));
  }
  return names;
}

}  // namespace weft::inject
