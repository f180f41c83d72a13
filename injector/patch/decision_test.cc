#include "injector/patch/decision.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/patch/pod_for_test.h"

namespace weft::inject {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Json Pod(const std::string& metadata, const std::string& spec = "") {
  return PodFrom("metadata: {" + metadata + "}\nspec: {containers: [{name: web, image: i}]" +
                 (spec.empty() ? "" : ", " + spec) + "}");
}

NamespaceFacts Namespace(std::map<std::string, std::string> annotations,
                         std::map<std::string, std::string> labels = {}) {
  return {"shop", std::move(annotations), std::move(labels)};
}

TEST(DecisionTest, PodBeatsNamespace) {
  const struct {
    const char* metadata;
    NamespaceFacts name_space;
    Verdict verdict;
    const char* field;
  } cases[] = {
      {"", Namespace({}), Verdict::kSkip, ""},
      {"", Namespace({{"weft.io/inject", "enabled"}}), Verdict::kInject,
       "namespace shop: metadata.annotations[weft.io/inject]"},
      {"", Namespace({}, {{"weft.io/inject", "enabled"}}), Verdict::kInject,
       "namespace shop: metadata.labels[weft.io/inject]"},
      {"", Namespace({{"weft.io/inject", "disabled"}}), Verdict::kSkip,
       "namespace shop: metadata.annotations[weft.io/inject]"},
      {"annotations: {weft.io/inject: disabled}", Namespace({{"weft.io/inject", "enabled"}}),
       Verdict::kSkip, "metadata.annotations[weft.io/inject]"},
      {"labels: {weft.io/inject: enabled}", Namespace({}), Verdict::kInject,
       "metadata.labels[weft.io/inject]"},
      {"labels: {weft.io/inject: enabled}", Namespace({{"weft.io/inject", "disabled"}}),
       Verdict::kInject, "metadata.labels[weft.io/inject]"},
      {"annotations: {injector.nsm.nginx.com/auto-inject: \"true\"}", Namespace({}),
       Verdict::kInject, "metadata.annotations[injector.nsm.nginx.com/auto-inject]"},
      {"annotations: {injector.nsm.nginx.com/auto-inject: \"false\"}",
       Namespace({{"weft.io/inject", "enabled"}}), Verdict::kSkip,
       "metadata.annotations[injector.nsm.nginx.com/auto-inject]"},
      {"", Namespace({}, {{"injector.nsm.nginx.com/auto-inject", "enabled"}}), Verdict::kInject,
       "namespace shop: metadata.labels[injector.nsm.nginx.com/auto-inject]"},
      {"", Namespace({}, {{"injector.nsm.nginx.com/auto-inject", "disabled"}}), Verdict::kSkip,
       "namespace shop: metadata.labels[injector.nsm.nginx.com/auto-inject]"},
  };
  for (const auto& test : cases) {
    const Decision decision = Decide(Pod(test.metadata), test.name_space, {});
    EXPECT_EQ(decision.verdict, test.verdict) << test.metadata << decision.message;
    EXPECT_EQ(decision.field, test.field) << test.metadata;
    EXPECT_THAT(decision.warnings, IsEmpty()) << test.metadata;
  }
}

TEST(DecisionTest, ContradictionsAndNonsenseAreWarnings) {
  const Decision both =
      Decide(Pod("annotations: {weft.io/inject: enabled}, labels: {weft.io/inject: disabled}"),
             Namespace({}), {});
  EXPECT_EQ(both.verdict, Verdict::kInject);
  EXPECT_THAT(both.warnings, ElementsAre(HasSubstr("metadata.labels[weft.io/inject] contradicts "
                                                   "metadata.annotations[weft.io/inject]")));
  const Decision spellings = Decide(Pod("annotations: {weft.io/inject: disabled, "
                                        "injector.nsm.nginx.com/auto-inject: \"true\"}"),
                                    Namespace({}), {});
  EXPECT_EQ(spellings.verdict, Verdict::kSkip);
  EXPECT_THAT(spellings.warnings, ElementsAre(HasSubstr("contradicts")));
  const Decision nonsense = Decide(Pod("annotations: {weft.io/inject: \"true\"}"),
                                   Namespace({{"weft.io/inject", "enabled"}}), {});
  EXPECT_EQ(nonsense.verdict, Verdict::kInject) << "the namespace decides";
  EXPECT_THAT(nonsense.warnings,
              ElementsAre(HasSubstr("is \"true\", which means nothing: use enabled or disabled")));
}

TEST(DecisionTest, SomeNamespacesAreNeverInjected) {
  Settings settings;
  settings.excluded_namespaces = {"ci"};
  for (const char* name : {"kube-system", "kube-public", "kube-node-lease", "weft-system", "ci"}) {
    NamespaceFacts facts = Namespace({{"weft.io/inject", "enabled"}});
    facts.name = name;
    const Decision quiet = Decide(Pod(""), facts, settings);
    EXPECT_EQ(quiet.reason, "excluded-namespace") << name;
    EXPECT_THAT(quiet.warnings, IsEmpty());
    const Decision asked = Decide(Pod("labels: {weft.io/inject: enabled}"), facts, settings);
    EXPECT_EQ(asked.reason, "excluded-namespace") << name;
    EXPECT_THAT(asked.warnings, ElementsAre(HasSubstr("never injected")));
  }
}

TEST(DecisionTest, PodsThatCannotHaveASidecarAreSkippedWithAWarning) {
  const struct {
    const char* spec;
    const char* reason;
  } cases[] = {
      {"hostNetwork: true", "host-network"},
      {"os: {name: windows}", "windows"},
      {"initContainers: [{name: linkerd-proxy, image: i, restartPolicy: Always}]", "other-mesh"},
      {"initContainers: [{name: istio-proxy, image: i}]", "other-mesh"},
  };
  for (const auto& test : cases) {
    const Decision decision =
        Decide(Pod("", test.spec), Namespace({{"weft.io/inject", "enabled"}}), {});
    EXPECT_EQ(decision.verdict, Verdict::kSkip) << test.spec;
    EXPECT_EQ(decision.reason, test.reason) << test.spec;
    EXPECT_EQ(decision.warnings.size(), 1) << test.spec;
    EXPECT_THAT(Decide(Pod("", test.spec), Namespace({}), {}).warnings, IsEmpty())
        << "nobody asked: " << test.spec;
  }
}

TEST(DecisionTest, JobsNeedNativeSidecars) {
  const NamespaceFacts enabled = Namespace({{"weft.io/inject", "enabled"}});
  Settings ordinary;
  ordinary.native_sidecar = false;
  EXPECT_EQ(Decide(Pod("", "restartPolicy: Never"), enabled, {}).verdict, Verdict::kInject);
  EXPECT_EQ(Decide(Pod("", "restartPolicy: Never"), enabled, ordinary).reason, "job");
  EXPECT_EQ(Decide(Pod("", "restartPolicy: OnFailure"), enabled, ordinary).reason, "job");
  EXPECT_EQ(Decide(Pod("", "restartPolicy: Always"), enabled, ordinary).verdict, Verdict::kInject);
  EXPECT_EQ(Decide(Pod("annotations: {weft.io/inject: enabled}", "restartPolicy: Never"), enabled,
                   ordinary)
                .verdict,
            Verdict::kInject)
      << "asked for by the pod itself";
  EXPECT_EQ(Decide(Pod("",
                       "restartPolicy: Never, initContainers: [{name: db, image: i, "
                       "restartPolicy: Always}]"),
                   enabled, ordinary)
                .verdict,
            Verdict::kInject)
      << "a cluster with native sidecars";
}

}  // namespace
}  // namespace weft::inject
