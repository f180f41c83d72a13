#include "injector/patch/settings.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/patch/quantity.h"
#include "injector/patch/sidecar.h"

namespace weft::inject {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(QuantityTest, ReadsWhatKubernetesReads) {
  const struct {
    const char* text;
    double value;
  } good[] = {{"1", 1},      {"100m", 0.1}, {"1.5", 1.5}, {".5", 0.5}, {"64Mi", 67108864},
              {"2e3", 2000}, {"2E", 2e18},  {"3k", 3000}, {"0", 0},    {"+1", 1},
              {"1E-1", 0.1}, {"1Ki", 1024}, {"5.", 5}};
  for (const auto& test : good) {
    ASSERT_TRUE(ParseQuantity(test.text)) << test.text;
    EXPECT_DOUBLE_EQ(*ParseQuantity(test.text), test.value) << test.text;
  }
  for (const char* bad :
       {"", "m", "lots", "-1", "1 Mi", "1mi", "1..2", "1e", "0x10", "1KiB", "."}) {
    EXPECT_FALSE(ParseQuantity(bad)) << bad;
  }
}

TEST(SettingsTest, AnEmptyDocumentMeansTheDefaults) {
  for (const char* text : {"", "{}", "---\n", "# nothing\n"}) {
    const auto settings = ParseSettings(text);
    ASSERT_TRUE(settings.ok()) << text << settings.status();
    EXPECT_EQ(settings->control_plane, "weft-control-plane.weft-system.svc:15012");
    EXPECT_TRUE(settings->native_sidecar);
  }
}

TEST(SettingsTest, EverythingCanBeSet) {
  const auto settings = ParseSettings(R"(
image: registry.example/weft/sidecar:1
imagePullPolicy: Always
imagePullSecrets: [{name: one}, two]
resources: {requests: {cpu: 1, memory: 64Mi}, limits: {cpu: 2}}
initResources: {limits: {memory: ""}}
nativeSidecar: false
controlPlane: "cp.mesh.svc:15012"
trustDomain: example.org
namespace: mesh
excludedNamespaces: [ci]
uid: 2000
logLevel: debug
workers: 4
drainDelay: 1s
drainTimeout: 1m
rewriteProbes: false
mtlsMode: strict
ignoreIncomingPorts: 9000
ignoreOutgoingPorts: "25,3306-3307"
ignoreOutgoingCIDRs: 169.254.169.254
ipv6: "off"
iptables: legacy
)");
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->image, "registry.example/weft/sidecar:1");
  EXPECT_THAT(settings->image_pull_secrets, ElementsAre("one", "two"));
  EXPECT_EQ(settings->sidecar_resources.cpu_request, "1");
  EXPECT_EQ(settings->sidecar_resources.cpu_limit, "2");
  EXPECT_EQ(settings->sidecar_resources.memory_limit, "256Mi");  // what is not said stays
  EXPECT_EQ(settings->init_resources.memory_limit, "");
  EXPECT_FALSE(settings->native_sidecar);
  EXPECT_EQ(settings->uid, 2000);
  EXPECT_EQ(settings->workers, 4);
  EXPECT_EQ(settings->drain_timeout, absl::Minutes(1));
  EXPECT_EQ(settings->ignore_incoming_ports, "9000");
  EXPECT_EQ(settings->mtls_mode, "strict");
}

TEST(SettingsTest, AMistakeNamesItsField) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"imge: x", "imge: there is no such setting"},
      {"resources: {requests: {cpus: 1}}", "resources.requests.cpus: there is no such setting"},
      {"resources: {requests: {cpu: lots}}", "resources.requests.cpu: expected a quantity"},
      {"resources: {requests: {memory: 1Gi}}", "resources: the memory request 1Gi is above"},
      {"resources: 3", "resources: expected a mapping"},
      {"nativeSidecar: \"yes\"", "nativeSidecar: expected true or false"},
      {"uid: 0", "uid: expected a user id"},
      {"logLevel: loud", "logLevel: expected one of trace"},
      {"drainDelay: 5", "drainDelay: expected a duration"},
      {"controlPlane: nowhere", "controlPlane: expected HOST:PORT"},
      {"ignoreOutgoingPorts: http", "ignoreOutgoingPorts: expected ports"},
      {"imagePullSecrets: x", "imagePullSecrets: expected a list"},
      {"imagePullSecrets: [{}]", "imagePullSecrets[0]: expected a text"},
      {"image: a b", "image: expected a text without blanks"},
      {"[1]", "expected a mapping"},
      {"a: [", "line 1"},
      {"{}\n---\n{}", "one document"},
  };
  for (const auto& test : cases) {
    EXPECT_THAT(ParseSettings(test.text).status().message(), HasSubstr(test.error)) << test.text;
  }
}

TEST(DrainTest, FitsIntoTheGracePeriod) {
  Settings settings;
  settings.drain_delay = absl::Seconds(5);
  settings.drain_timeout = absl::Seconds(20);
  const struct {
    int grace;
    bool native;
    double delay, timeout;
  } cases[] = {{30, false, 5, 20}, {30, true, 0, 20}, {10, false, 4, 4}, {10, true, 0, 8},
               {0, false, 0, 0},   {0, true, 0, 0},   {1, true, 0, 0.7}, {3600, false, 5, 20}};
  for (const auto& test : cases) {
    const Drain drain = DrainWithin(absl::Seconds(test.grace), test.native, settings);
    EXPECT_EQ(drain.delay, absl::Seconds(test.delay)) << test.grace << test.native;
    EXPECT_EQ(drain.timeout, absl::Milliseconds(test.timeout * 1000)) << test.grace << test.native;
  }
}

}  // namespace
}  // namespace weft::inject
