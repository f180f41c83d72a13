#include "injector/patch/inject.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/patch/pod_for_test.h"

namespace weft::inject {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kPod[] = R"(
metadata: {name: web}
spec:
  initContainers: [{name: migrate, image: m}]
  containers: [{name: app, image: a}, {name: log, image: l}]
)";

// The reviews of all recordings in testdata/, with the names of their files.
std::vector<std::pair<std::string, Json>> RecordedReviews() {
  std::vector<std::pair<std::string, Json>> reviews;
  for (const auto& entry : std::filesystem::directory_iterator("injector/patch/testdata")) {
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const auto recording = ParseJson(text.str());
    for (const Json& review : (*recording)["reviews"]) {
      reviews.emplace_back(entry.path().filename(), review);
    }
  }
  return reviews;
}

TEST(InjectTest, RecordedPodsAreInjectedOnceAndThenLeftAlone) {
  int injected = 0;
  for (const auto& [file, review] : RecordedReviews()) {
    const Json& pod = review["request"]["object"];
    const Injection first = InjectInShop(pod);
    if (BoolAt(pod["spec"], "hostNetwork", false)) {
      EXPECT_EQ(first.decision.reason, "host-network") << file;
      EXPECT_EQ(Dump(first.patch), "[]") << file;
      continue;
    }
    ASSERT_EQ(first.decision.verdict, Verdict::kInject) << file << first.decision.message;
    ++injected;
    Json expected = pod;
    const Json result = pod.patch(first.patch);
    EXPECT_THAT(NamesOf(result, "initContainers"), ::testing::StartsWith("weft-init weft-sidecar"))
        << file;
    EXPECT_EQ(NamesOf(result, "containers"), NamesOf(pod, "containers")) << file;
    EXPECT_EQ(result["metadata"]["labels"]["weft.io/meshed"], "true") << file;
    // Everything that was there is there still, in the same place.
    for (const char* field : {"containers", "tolerations", "serviceAccountName", "restartPolicy"}) {
      EXPECT_EQ(result["spec"][field], pod["spec"][field]) << file << field;
    }
    EXPECT_EQ(result["spec"]["volumes"].back()["name"], "weft-identity") << file;

    const Injection second = InjectInShop(result);
    EXPECT_EQ(second.decision.reason, "already-injected") << file;
    EXPECT_EQ(Dump(second.patch), "[]") << file;
    EXPECT_THAT(second.decision.warnings, IsEmpty()) << file;
  }
  EXPECT_GE(injected, 8);
}

TEST(InjectTest, ANativeSidecarComesBeforeTheOtherInitContainers) {
  const Json pod = Injected(PodFrom(kPod));
  EXPECT_EQ(NamesOf(pod, "initContainers"), "weft-init weft-sidecar migrate");
  EXPECT_EQ(NamesOf(pod, "containers"), "app log");
  const Json sidecar = ContainerOf(pod, "weft-sidecar");
  EXPECT_EQ(sidecar["restartPolicy"], "Always");
  EXPECT_EQ(Dump(sidecar["startupProbe"]["httpGet"]),
            R"({"path":"/healthz/ready","port":15021,"scheme":"HTTP"})");
  EXPECT_FALSE(sidecar.contains("lifecycle"));
  EXPECT_THAT(sidecar["args"], Contains("--drain-delay=0"));
  EXPECT_THAT(sidecar["args"], Contains("--workload=$(POD_NAMESPACE)/$(POD_NAME)"));
}

TEST(InjectTest, AnOrdinarySidecarHoldsTheApplicationBackAndRedirectsLast) {
  Settings settings;
  settings.native_sidecar = false;
  const Json pod = Injected(PodFrom(kPod), settings);
  EXPECT_EQ(NamesOf(pod, "initContainers"), "migrate weft-init");
  EXPECT_EQ(NamesOf(pod, "containers"), "weft-sidecar app log");
  const Json sidecar = ContainerOf(pod, "weft-sidecar");
  EXPECT_FALSE(sidecar.contains("restartPolicy"));
  EXPECT_EQ(Dump(sidecar["lifecycle"]["postStart"]["exec"]["command"]),
            R"(["/usr/bin/weft-sidecar","--await-ready=2m"])");
  EXPECT_THAT(sidecar["args"], Contains("--drain-delay=5s"));
  EXPECT_EQ(pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"], "app");
}

TEST(InjectTest, OnlyTheInitContainerHasPrivileges) {
  const Json pod = Injected(PodFrom(R"(
metadata: {name: web}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 1000}
  containers: [{name: app, image: a}]
)"));
  EXPECT_EQ(Dump(ContainerOf(pod, "weft-init")["securityContext"]),
            R"({"runAsUser":0,"runAsGroup":0,"runAsNonRoot":false,"privileged":false,)"
            R"("allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true,)"
            R"("capabilities":{"add":["NET_ADMIN","NET_RAW"],"drop":["ALL"]},)"
            R"("seccompProfile":{"type":"RuntimeDefault"}})");
  EXPECT_EQ(Dump(ContainerOf(pod, "weft-sidecar")["securityContext"]),
            R"({"runAsUser":1337,"runAsGroup":1337,"runAsNonRoot":true,"privileged":false,)"
            R"("allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true,)"
            R"("capabilities":{"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}})");
}

TEST(InjectTest, TheSidecarProvesWhoItIsWithAProjectedToken) {
  const Json pod = Injected(PodFrom(kPod));
  EXPECT_EQ(
      Dump(pod["spec"]["volumes"]),
      R"([{"name":"weft-identity","projected":{"sources":[)"
      R"({"serviceAccountToken":{"audience":"weft","expirationSeconds":3600,"path":"token"}},)"
      R"({"configMap":{"name":"weft-root","items":[{"key":"root.pem","path":"root.pem"}]}}]}}])");
  EXPECT_EQ(Dump(ContainerOf(pod, "weft-sidecar")["volumeMounts"]),
            R"([{"name":"weft-identity","mountPath":"/var/run/weft","readOnly":true}])");
}

TEST(InjectTest, AnnotationsOverrideTheSettings) {
  const Json pod = Injected(PodFrom(R"(
metadata:
  name: web
  annotations:
    config.weft.io/sidecar-image: registry.example/own:1
    config.weft.io/sidecar-image-pull-policy: Always
    config.weft.io/sidecar-cpu-request: "1"
    config.weft.io/sidecar-cpu-limit: 1500m
    config.weft.io/sidecar-memory-request: 64Mi
    config.weft.io/sidecar-memory-limit: ""
    config.weft.io/sidecar-log-level: debug
    config.weft.io/sidecar-workers: "3"
    config.weft.io/drain-timeout: 3s
    config.weft.io/rewrite-probes: "false"
    config.weft.io/ignore-incoming-ports: "25, 8000-8100"
    config.weft.io/ignore-outgoing-ports: "3306"
    config.nsm.nginx.com/ignore-outgoing-ports: "1"
    config.weft.io/ignore-outgoing-cidrs: 169.254.169.254
spec:
  containers: [{name: app, image: a, livenessProbe: {tcpSocket: {port: 1}}}]
)"));
  const Json sidecar = ContainerOf(pod, "weft-sidecar");
  EXPECT_EQ(sidecar["image"], "registry.example/own:1");
  EXPECT_EQ(sidecar["imagePullPolicy"], "Always");
  EXPECT_EQ(Dump(sidecar["resources"]),
            R"({"requests":{"cpu":"1","memory":"64Mi"},"limits":{"cpu":"1500m"}})");
  for (const char* argument : {"--log-level=debug", "--workers=3", "--drain-timeout=3s"}) {
    EXPECT_THAT(sidecar["args"], Contains(argument));
  }
  EXPECT_TRUE(ContainerOf(pod, "app")["livenessProbe"].contains("tcpSocket"));
  EXPECT_EQ(Dump(ContainerOf(pod, "weft-init")["args"]),
            R"(["--proxy-uid=1337","--ignore-incoming-ports=25, 8000-8100",)"
            R"("--ignore-outgoing-ports=3306","--ignore-outgoing-cidrs=169.254.169.254"])");
}

TEST(InjectTest, AnAnnotationThatCannotBeObeyedIsRefusedByName) {
  const struct {
    const char* annotation;
    const char* field;
    const char* message;
  } cases[] = {
      {"config.weft.io/sidecar-cpu-request: lots",
       "metadata.annotations[config.weft.io/sidecar-cpu-request]", "expected a quantity"},
      {"config.weft.io/sidecar-memory-request: 1Gi",
       "metadata.annotations[config.weft.io/sidecar-*]", "is above the limit"},
      {"config.nsm.nginx.com/ignore-incoming-ports: http",
       "metadata.annotations[config.nsm.nginx.com/ignore-incoming-ports]", "expected ports"},
      {"config.weft.io/native-sidecar: maybe",
       "metadata.annotations[config.weft.io/native-sidecar]", "expected true or false"},
      {"config.weft.io/drain-delay: \"5\"", "metadata.annotations[config.weft.io/drain-delay]",
       "expected a duration"},
      {"config.weft.io/sidecar-image: a b", "metadata.annotations[config.weft.io/sidecar-image]",
       "expected the name of an image"},
  };
  for (const auto& test : cases) {
    const Json pod = PodFrom("metadata: {annotations: {" + std::string(test.annotation) +
                             "}}\nspec: {containers: [{name: app}]}");
    const Injection injection = InjectInShop(pod);
    EXPECT_EQ(injection.decision.verdict, Verdict::kRefuse) << test.annotation;
    EXPECT_EQ(injection.decision.field, test.field);
    EXPECT_THAT(injection.decision.message, HasSubstr(test.message));
    EXPECT_EQ(Dump(injection.patch), "[]");
    EXPECT_EQ(
        Inject(pod, {.name = "elsewhere", .annotations = {}, .labels = {}}, {}).decision.verdict,
        Verdict::kSkip)
        << "where nobody asks for a sidecar, nothing is refused";
  }
}

TEST(InjectTest, ProbesGoThroughTheSidecar) {
  const Json pod = Injected(PodFrom(R"(
metadata: {name: web}
spec:
  containers:
  - name: app
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {httpGet: {port: http, httpHeaders: [{name: X, value: $(POD_NAME)$$}]}}
)"));
  std::string value;
  const Json sidecar = ContainerOf(pod, "weft-sidecar");
  for (const Json& variable : sidecar["env"]) {
    if (variable["name"] == "WEFT_APP_PROBES") value = variable["value"];
  }
  EXPECT_EQ(value.find('$'), std::string::npos) << "Kubernetes would expand it";
  EXPECT_EQ(Dump(Json::parse(value)["/app-probe/app/readyz"]["http"]["headers"]),
            R"([{"name":"X","value":"$(POD_NAME)$$"}])");
}

TEST(InjectTest, PullSecretsAreAppendedOnce) {
  Settings settings;
  settings.image_pull_secrets = {"mine", "theirs"};
  Json pod = PodFrom(kPod);
  EXPECT_EQ(Dump(Injected(pod, settings)["spec"]["imagePullSecrets"]),
            R"([{"name":"mine"},{"name":"theirs"}])");
  pod["spec"]["imagePullSecrets"] = Json::parse(R"([{"name":"theirs"}])");
  EXPECT_EQ(Dump(Injected(pod, settings)["spec"]["imagePullSecrets"]),
            R"([{"name":"theirs"},{"name":"mine"}])");
}

TEST(InjectTest, PortsOfTheApplicationAreNotDeclaredTwice) {
  const Json plain = Injected(PodFrom(kPod));
  EXPECT_EQ(Dump(ContainerOf(plain, "weft-sidecar")["ports"]),
            R"([{"name":"weft-metrics","containerPort":15020,"protocol":"TCP"},)"
            R"({"name":"weft-health","containerPort":15021,"protocol":"TCP"}])");
  const Json claimed = PodFrom(R"(
metadata: {name: web}
spec:
  containers:
  - name: app
    ports: [{containerPort: 15020}, {containerPort: 80}, {containerPort: 80, protocol: UDP}]
  - name: other
    ports: [{containerPort: 80}, {name: weft-health, containerPort: 81}]
)");
  const Injection injection = InjectInShop(claimed);
  EXPECT_THAT(injection.decision.warnings,
              ElementsAre(HasSubstr("container app declares port 15020")));
  EXPECT_FALSE(ContainerOf(claimed.patch(injection.patch), "weft-sidecar").contains("ports"));
}

TEST(InjectTest, WarnsOfTraps) {
  const Injection injection = InjectInShop(PodFrom(R"(
metadata:
  annotations: {config.weft.io/mtls-mode: strict, config.weft.io/opaque-ports: mysql,
                config.weft.io/imaginary: x}
spec:
  securityContext: {runAsUser: 1337}
  containers:
  - name: app
    securityContext: {runAsUser: 1337}
    lifecycle: {preStop: {httpGet: {port: 80}}}
)"));
  EXPECT_EQ(injection.decision.verdict, Verdict::kInject);
  EXPECT_THAT(injection.decision.warnings,
              ElementsAre(HasSubstr("imaginary]: there is no such annotation"),
                          HasSubstr("opaque-ports]"), HasSubstr("spec.securityContext.runAsUser"),
                          HasSubstr("container app runs as user 1337"),
                          HasSubstr("lifecycle.preStop.httpGet")));
  NamespaceFacts restricted{.name = "shop",
                            .annotations = {{"weft.io/inject", "enabled"}},
                            .labels = {{"pod-security.kubernetes.io/enforce", "restricted"}}};
  EXPECT_THAT(Inject(PodFrom(kPod), restricted, {}).decision.warnings,
              ElementsAre(HasSubstr("forbids NET_ADMIN")));
}

TEST(InjectTest, NamesOfWeftAreReserved) {
  const struct {
    const char* spec;
    const char* field;
  } cases[] = {
      {"{containers: [{name: weft-init}]}", "spec.containers[0].name"},
      {"{containers: [{name: a}], volumes: [{name: v}, {name: weft-identity}]}",
       "spec.volumes[1].name"},
  };
  for (const auto& test : cases) {
    const Injection injection =
        InjectInShop(PodFrom("metadata: {}\nspec: " + std::string(test.spec)));
    EXPECT_EQ(injection.decision.verdict, Verdict::kRefuse) << test.spec;
    EXPECT_EQ(injection.decision.field, test.field);
  }
  const Injection foreign = InjectInShop(PodFrom("spec: {containers: [{name: weft-sidecar}]}"));
  EXPECT_EQ(foreign.decision.reason, "already-injected");
  EXPECT_THAT(foreign.decision.warnings, ElementsAre(HasSubstr("Weft did not add")));
}

TEST(InjectTest, WhateverIsNoPodIsRefusedByField) {
  const struct {
    const char* pod;
    const char* field;
  } cases[] = {
      {"null", "spec"},
      {"[]", "spec"},
      {R"({"spec":[]})", "spec"},
      {R"({"spec":{}})", "spec.containers"},
      {R"({"spec":{"containers":{}}})", "spec.containers"},
      {R"({"spec":{"containers":[1]}})", "spec.containers[0].name"},
      {R"({"spec":{"containers":[{"name":1}]}})", "spec.containers[0].name"},
      {R"({"spec":{"containers":[{"name":"a"},{"name":"a"}]}})", "spec.containers[1].name"},
      {R"({"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"a"}]}})",
       "spec.containers[0].name"},
      {R"({"spec":{"containers":[{"name":"a"}],"initContainers":3}})", "spec.initContainers"},
      {R"({"spec":{"containers":[{"name":"a"}],"volumes":{}}})", "spec.volumes"},
      {R"({"metadata":3,"spec":{"containers":[{"name":"a"}]}})", "metadata"},
      {R"({"metadata":{"labels":[]},"spec":{"containers":[{"name":"a"}]}})", "metadata.labels"},
  };
  for (const auto& test : cases) {
    const Injection injection = InjectInShop(Json::parse(test.pod));
    EXPECT_EQ(injection.decision.verdict, Verdict::kRefuse) << test.pod;
    EXPECT_EQ(injection.decision.field, test.field) << test.pod;
  }
}

TEST(InjectTest, TheStatusTellsSettingsApart) {
  Settings other;
  other.log_level = "debug";
  EXPECT_NE(SettingsHash({}), SettingsHash(other));
  const Json status = Json::parse(
      Injected(PodFrom(kPod))["metadata"]["annotations"]["weft.io/status"].get<std::string>());
  EXPECT_EQ(status["hash"], SettingsHash({}));
}

}  // namespace
}  // namespace weft::inject
