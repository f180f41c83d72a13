#include "injector/patch/probe.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/patch/pod_for_test.h"

namespace weft::inject {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What one probe of the container "web" (ports: http 8080, grpc 9000) becomes for the sidecar, as
// JSON on one line.
std::string TargetOf(const std::string& probe, std::vector<std::string>* warnings = nullptr) {
  PodPatch patch(PodFrom(R"(
spec:
  containers:
  - name: web
    ports: [{name: http, containerPort: 8080}, {name: grpc, containerPort: 9000}]
    readinessProbe: )" + probe));
  std::vector<std::string> ignored;
  const Json targets = RewriteProbes(patch, warnings == nullptr ? ignored : *warnings);
  return targets.empty() ? "" : Dump(targets.begin().value());
}

TEST(ProbeTest, TellsTheSidecarWhatToAsk) {
  const struct {
    const char* probe;
    const char* target;
  } cases[] = {
      {"{httpGet: {port: 8080}}",
       R"({"http":{"scheme":"HTTP","port":8080,"path":"/","host":"","headers":[]},"timeout_seconds":1})"},
      {"{httpGet: {port: http, path: \"/r?x=1\", scheme: HTTPS, host: h, "
       "httpHeaders: [{name: A, value: b}, {name: A, value: c}]}, timeoutSeconds: 7}",
       R"({"http":{"scheme":"HTTPS","port":8080,"path":"/r?x=1","host":"h",)"
       R"("headers":[{"name":"A","value":"b"},{"name":"A","value":"c"}]},"timeout_seconds":7})"},
      {"{tcpSocket: {port: \"5432\"}}", R"({"tcp":{"port":5432},"timeout_seconds":1})"},
      {"{tcpSocket: {port: 5432, host: db}}",
       R"({"tcp":{"port":5432,"host":"db"},"timeout_seconds":1})"},
      {"{grpc: {port: 9000}}", R"({"grpc":{"port":9000,"service":""},"timeout_seconds":1})"},
      {"{grpc: {port: 9000, service: health}}",
       R"({"grpc":{"port":9000,"service":"health"},"timeout_seconds":1})"},
      {"{exec: {command: [\"true\"]}}", ""},
      {"{httpGet: {path: /app-probe/web/readyz, port: 15021}}", ""},
  };
  for (const auto& test : cases) EXPECT_EQ(TargetOf(test.probe), test.target) << test.probe;
}

TEST(ProbeTest, AProbeWithoutAPortStaysWithAWarning) {
  for (const char* probe : {"{httpGet: {port: https}}", "{tcpSocket: {port: 0}}", "{tcpSocket: {}}",
                            "{grpc: {port: 70000}}", "{httpGet: {port: {}}}"}) {
    std::vector<std::string> warnings;
    EXPECT_EQ(TargetOf(probe, &warnings), "") << probe;
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("web: readinessProbe names no port"))) << probe;
  }
}

TEST(ProbeTest, OnlyTheHandlerOfAProbeChanges) {
  PodPatch patch(PodFrom(R"(
spec:
  initContainers:
  - name: proxy
    restartPolicy: Always
    startupProbe: {tcpSocket: {port: 3306}, periodSeconds: 1}
  containers:
  - name: web
    readinessProbe: {initialDelaySeconds: 3, httpGet: {port: 80}, failureThreshold: 9}
    livenessProbe: {exec: {command: [ls]}}
  - name: other
    livenessProbe: {grpc: {port: 1}, terminationGracePeriodSeconds: 5}
)"));
  std::vector<std::string> warnings;
  const Json targets = RewriteProbes(patch, warnings);
  EXPECT_THAT(warnings, IsEmpty());
  EXPECT_EQ(targets.size(), 3);
  EXPECT_TRUE(targets.contains("/app-probe/proxy/startupz"));
  EXPECT_TRUE(targets.contains("/app-probe/web/readyz"));
  EXPECT_TRUE(targets.contains("/app-probe/other/livez"));
  EXPECT_EQ(Dump(ContainerOf(patch.pod(), "proxy")["startupProbe"]),
            R"({"httpGet":{"path":"/app-probe/proxy/startupz","port":15021,"scheme":"HTTP"},)"
            R"("periodSeconds":1})");
  const Json web = ContainerOf(patch.pod(), "web");
  EXPECT_EQ(Dump(web["readinessProbe"]),
            R"({"httpGet":{"path":"/app-probe/web/readyz","port":15021,"scheme":"HTTP"},)"
            R"("initialDelaySeconds":3,"failureThreshold":9})");
  EXPECT_EQ(Dump(web["livenessProbe"]), R"({"exec":{"command":["ls"]}})");
  EXPECT_EQ(ContainerOf(patch.pod(), "other")["livenessProbe"]["terminationGracePeriodSeconds"], 5);
  EXPECT_EQ(Dump(RewriteProbes(patch, warnings)), "{}") << "a second time there is nothing to do";
}

}  // namespace
}  // namespace weft::inject
