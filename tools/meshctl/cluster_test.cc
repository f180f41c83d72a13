// What meshctl makes of kubectl's answers. A script stands in for kubectl and answers from files.
#include "tools/meshctl/cluster.h"

#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "control-plane/ca/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/meshctl/check.h"
#include "tools/meshctl/cluster_child.h"
#include "tools/meshctl/cluster_control_plane.h"
#include "tools/meshctl/cluster_membership.h"

namespace weft::meshctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kKubectl[] = R"sh(#!/bin/sh
cd "$(dirname "$0")"
while [ "${1#--}" != "$1" ]; do shift; done
case "$1 $2" in
  "version --client") echo '{"clientVersion":{"gitVersion":"v1.34.5"}}'; exit ;;
  "auth can-i") [ ! -e no-rights ]; exit ;;
esac
name=$(echo "$1 $3" | tr '/?&=% ' '______')
[ -e "$name" ] && exec cat "$name"
echo "Error from server (NotFound): $3 not found" >&2
exit 1
)sh";

class ClusterTest : public ::testing::Test {
 protected:
  ClusterTest() {
    const std::string kubectl = directory_ / "kubectl";
    std::ofstream(kubectl) << kKubectl;
    chmod(kubectl.c_str(), 0700);
    setenv("KUBECTL", kubectl.c_str(), 1);
    Answer("get", "/version", R"({"major":"1","minor":"34","gitVersion":"v1.34.0"})");
  }
  ~ClusterTest() override { unsetenv("KUBECTL"); }

  void Answer(const std::string& verb, const std::string& path, const std::string& json) {
    const std::string name =
        absl::StrReplaceAll(absl::StrCat(verb, "_", path),
                            {{"/", "_"}, {"?", "_"}, {"&", "_"}, {"=", "_"}, {"%", "_"}});
    std::ofstream(directory_ / name) << json;
  }

  Cluster Open() {
    Options options;
    options.context = "here";
    return *Cluster::Open(options);
  }

  // What a check came to: "warning: lacks v1alpha4".
  std::string Outcome(const CheckReport& report, const std::string& check) {
    for (const CheckResults::Result& result : report.results().results()) {
      if (result.check() != check) continue;
      return absl::StrCat(CheckResults::Status_Name(result.status()), ": ", result.detail(),
                          result.remedy().empty() ? "" : " -> ", result.remedy());
    }
    return "not looked at";
  }

  CheckReport Checked(bool before) {
    CheckReport report;
    CheckCluster(Open(), before, report);
    return report;
  }

  const ca::TemporaryDirectory directory_;
};

TEST(KubectlTest, ItsWordsBecomeStatuses) {
  struct Case {
    const char* said;
    absl::StatusCode code;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {"Error from server (NotFound): the server could not find the requested resource\n",
            absl::StatusCode::kNotFound, "the server could not find the requested resource"},
           {"Error from server (Forbidden): pods is forbidden: User \"plain-user\" cannot list\n",
            absl::StatusCode::kPermissionDenied,
            "pods is forbidden: User \"plain-user\" cannot list"},
           {"error: You must be logged in to the server (Unauthorized)\n",
            absl::StatusCode::kUnauthenticated, "You must be logged in"},
           {"Error from server (BadRequest): admission webhook \"validate.weft.io\" denied the "
            "request: no\n",
            absl::StatusCode::kInvalidArgument, "admission webhook"},
           {"Error from server (InternalError): Internal error occurred: failed calling webhook "
            "\"x\"\n",
            absl::StatusCode::kUnavailable, "failed calling webhook"},
           {"The connection to the server 10.0.0.1:6443 was refused - did you specify the right "
            "host or port?\n",
            absl::StatusCode::kUnavailable, "10.0.0.1:6443 was refused"},
           {"The connection to the server localhost:8080 was refused - did you specify the right "
            "host or port?\n",
            absl::StatusCode::kFailedPrecondition, "--context"},
           {"", absl::StatusCode::kUnavailable, "without a word"},
       }) {
    const absl::Status status = StatusOfKubectl({.exit_code = 1, .out = "", .err = c.said});
    EXPECT_EQ(status.code(), c.code) << c.said;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(SecretValueTest, DecodesWhatIsThere) {
  const Json secret = Json::parse(R"({"metadata":{"name":"s"},"data":{"token":"YWJj","bad":"*"}})");
  EXPECT_EQ(*SecretValue(secret, "token"), "abc");
  EXPECT_TRUE(absl::IsNotFound(SecretValue(secret, "other").status()));
  EXPECT_TRUE(absl::IsDataLoss(SecretValue(secret, "bad").status()));
}

TEST(ChildTest, IsReadLineByLineAndEndsWithItsObject) {
  pid_t pid = 0;
  {
    absl::StatusOr<Child> child = Child::Start(
        {"sh", "-c", "echo $$; echo oops >&2; echo second; exec sleep 1000"}, Child::Output::kRead);
    ASSERT_TRUE(child.ok());
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    pid = std::stoi(*child->ReadLine(deadline));
    EXPECT_EQ(*child->ReadLine(deadline), "second");
    EXPECT_EQ(child->Errors(), "oops\n");
    EXPECT_TRUE(absl::IsDeadlineExceeded(child->ReadLine(absl::Now()).status()));
  }
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(ChildTest, TellsItsExitCodeAndThatItIsNoMore) {
  absl::StatusOr<Child> ended = Child::Start({"sh", "-c", "exit 7"}, Child::Output::kInherit);
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->Wait(), 7);
  absl::StatusOr<Child> missing = Child::Start({"/no/such/program"}, Child::Output::kRead);
  ASSERT_TRUE(missing.ok());
  EXPECT_TRUE(absl::IsOutOfRange(missing->ReadLine(absl::Now() + absl::Seconds(30)).status()));
}

TEST_F(ClusterTest, WithoutKubectlItSaysHowToGetOn) {
  setenv("KUBECTL", "/no/such/kubectl", 1);
  const absl::Status status = Cluster::Open({}).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--control-plane"));
}

TEST_F(ClusterTest, WithoutWeftItSaysWhereItLooked) {
  const absl::Status status = ReachControlPlane(Open()).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  for (const char* part :
       {"Secret weft-operator", "weft-system", "context here", "meshctl check"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
}

TEST_F(ClusterTest, MembersAreFoundByLabelAndAnnotation) {
  Answer("get", "/api/v1/namespaces?limit=500", R"({"metadata":{"continue":"next"},"items":[
    {"metadata":{"name":"b","labels":{"weft.io/inject":"enabled"}}},
    {"metadata":{"name":"c","labels":{"weft.io/inject":"enabled"},"annotations":{"weft.io/inject":"disabled"}}},
    {"metadata":{"name":"weft-system","labels":{"weft.io/inject":"enabled"}}}]})");
  Answer("get", "/api/v1/namespaces?limit=500&continue=next", R"({"metadata":{},"items":[
    {"metadata":{"name":"a","labels":{"injector.nsm.nginx.com/auto-inject":"enabled"}}},
    {"metadata":{"name":"d"}}]})");
  EXPECT_THAT(*MemberNamespaces(Open()), ElementsAre("a", "b"));
  Answer("get", "/api/v1/namespaces/a/pods?limit=500", R"({"items":[
    {"metadata":{"name":"in"},"status":{"phase":"Running"},"spec":{"initContainers":[{"name":"weft-sidecar"}]}},
    {"metadata":{"name":"out"},"status":{"phase":"Running"},"spec":{"containers":[{"name":"app"}]}},
    {"metadata":{"name":"host"},"status":{"phase":"Running"},"spec":{"hostNetwork":true}},
    {"metadata":{"name":"no","labels":{"weft.io/inject":"disabled"}},"status":{"phase":"Running"}},
    {"metadata":{"name":"done"},"status":{"phase":"Succeeded"}}]})");
  EXPECT_THAT(*PodsWithoutSidecar(Open(), "a"), ElementsAre("out"));
}

TEST_F(ClusterTest, AnEmptyClusterPassesBeforeTheInstallationOnly) {
  const CheckReport before = Checked(true);
  EXPECT_EQ(Outcome(before, "Kubernetes"), "OK: v1.34.0");
  EXPECT_EQ(Outcome(before, "rights to install"), "OK: those of a cluster administrator");
  EXPECT_EQ(Outcome(before, "CRD trafficsplits"), "OK: comes with the chart");
  const CheckReport after = Checked(false);
  EXPECT_THAT(Outcome(after, "CRD trafficsplits"), HasSubstr("FAILURE: is not installed -> "));
  EXPECT_FALSE(after.Verdict().ok());
}

TEST_F(ClusterTest, WhatTheClusterLacksIsNamedWithTheRemedy) {
  std::ofstream(directory_ / "no-rights");
  Answer("get", "/version", R"({"major":"1","minor":"27+","gitVersion":"v1.27.9-x"})");
  Answer(
      "get",
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trafficsplits.split.smi-spec.io",
      R"({"spec":{"versions":[{"name":"v1alpha3","served":true}]},"status":{"storedVersions":["v1alpha3"]}})");
  Answer(
      "get",
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutegroups.specs.smi-spec.io",
      R"({"spec":{"versions":[]},"status":{"storedVersions":["v1alpha1","v1alpha3"]}})");
  Answer(
      "get", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
      R"({"items":[{"metadata":{"name":"sidecar-injector-webhook-cfg.internal.builtin.nsm.nginx"}}]})");
  const CheckReport report = Checked(true);
  EXPECT_THAT(Outcome(report, "Kubernetes"),
              HasSubstr("WARNING: v1.27.9-x has no native sidecars"));
  EXPECT_THAT(Outcome(report, "rights to install"),
              HasSubstr("no right to create customresourcedefinitions"));
  EXPECT_THAT(Outcome(report, "CRD trafficsplits"),
              HasSubstr("lacks v1alpha1, v1alpha2, status in v1alpha3, v1alpha4"));
  EXPECT_THAT(Outcome(report, "CRD httproutegroups"),
              HasSubstr("FAILURE: objects may be stored as v1alpha1"));
  EXPECT_THAT(Outcome(report, "other meshes"), HasSubstr("NGINX Service Mesh"));
  Answer("get", "/version", R"({"major":"1","minor":"21","gitVersion":"v1.21.0"})");
  EXPECT_THAT(Outcome(Checked(true), "Kubernetes"), HasSubstr("FAILURE: v1.21.0 -> upgrade"));
}

TEST_F(ClusterTest, ClocksAreComparedWithTheApiServers) {
  const auto server_at = [&](absl::Time time) {
    Answer(
        "create", "/api/v1/namespaces/default/configmaps?dryRun=All",
        absl::StrCat(R"({"metadata":{"creationTimestamp":")",
                     absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()), R"("}})"));
  };
  const auto node_at = [&](absl::Time time) {
    Answer("get", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
           absl::StrCat(R"({"items":[{"metadata":{"name":"n1"},"spec":{"renewTime":")",
                        absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone()),
                        R"("}}]})"));
  };
  server_at(absl::Now());
  node_at(absl::Now());
  const CheckReport right = Checked(true);
  EXPECT_THAT(Outcome(right, "clock of this machine"), HasSubstr("OK"));
  EXPECT_EQ(Outcome(right, "clocks of nodes"), "OK: agree with the API server's; 1 looked at");
  server_at(absl::Now() + absl::Hours(1));
  node_at(absl::Now() + absl::Hours(2));
  const CheckReport wrong = Checked(true);
  EXPECT_THAT(Outcome(wrong, "clock of this machine"), HasSubstr("behind the API server's"));
  EXPECT_THAT(Outcome(wrong, "clocks of nodes"), HasSubstr("FAILURE: n1 "));
}

}  // namespace
}  // namespace weft::meshctl
