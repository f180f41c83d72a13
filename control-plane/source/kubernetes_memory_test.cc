// How much memory a cluster of 10,000 pods and 1,000 services takes, as its API server tells of it.
// The program prints what it has measured.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/kubernetes/api_server_for_test.h"
#include "control-plane/compile/compiler.h"
#include "control-plane/source/kubernetes.h"
#include "control-plane/source/kubernetes_event.h"
#include "control-plane/source/recording_for_test.h"
#include "gtest/gtest.h"

namespace weft::source {
namespace {

using kubernetes::ApiServerForTest;

constexpr int kServices = 1000;
constexpr int kPodsPerService = 10;
constexpr int kPods = kServices * kPodsPerService;
constexpr int kPodBytes = 10'000;

// A running pod as it was recorded, made as large as pods with several containers are.
std::string PodTemplate() {
  const RecordedWatch recorded = ReadWatch("watch-pods.jsonl");
  std::string pod(ParseWatchEvent(recorded.chunks[4])->object);
  const std::string field = R"({"manager":"kubelet","operation":"Update","fieldsV1":{"f:x":{}}},)";
  std::string more;
  while (pod.size() + more.size() < kPodBytes) more += field;
  return absl::StrReplaceAll(pod, {{"\"managedFields\":[", "\"managedFields\":[" + more}});
}

std::string Ip(int pod) {
  return absl::StrCat("10.", 1 + pod / 62500, ".", pod / 250 % 250, ".", pod % 250);
}

std::string Pod(const std::string& from, int i) {
  return absl::StrReplaceAll(
      from,
      {{"cart-1", absl::StrCat("web-", i / kPodsPerService, "-5d4f8c7b9-", i % kPodsPerService)},
       {"10.244.1.12", Ip(i)}});
}

std::string Service(int i) {
  return absl::StrCat(R"({"metadata":{"name":"web-)", i,
                      R"(","namespace":"shop","uid":"u","resourceVersion":"9"},"spec":{"ports":[)"
                      R"({"name":"http","protocol":"TCP","port":80,"targetPort":8080}],"selector":)"
                      R"({"app":"web-)",
                      i, R"("},"clusterIP":"10.96.)", i / 250, ".", i % 250, R"("}})");
}

std::string Slice(int i) {
  std::string endpoints;
  for (int pod = i * kPodsPerService; pod < (i + 1) * kPodsPerService; ++pod) {
    absl::StrAppend(
        &endpoints, endpoints.empty() ? "" : ",", R"({"addresses":[")", Ip(pod),
        R"("],"conditions":{"ready":true,"serving":true,"terminating":false},)"
        R"("nodeName":"node-1","zone":"a","targetRef":{"kind":"Pod","namespace":"shop",)"
        R"("name":"web-)",
        i, "-5d4f8c7b9-", pod % kPodsPerService, R"(","uid":"u"}})");
  }
  return absl::StrCat(R"({"metadata":{"name":"web-)", i,
                      R"(-x","namespace":"shop","resourceVersion":"9","labels":)"
                      R"({"kubernetes.io/service-name":"web-)",
                      i, R"("}},"addressType":"IPv4","endpoints":[)", endpoints,
                      R"(],"ports":[{"name":"http","protocol":"TCP","port":8080}]})");
}

std::string Page(const std::string& target, int count,
                 const std::function<std::string(int)>& item) {
  int begin = 0;
  if (const size_t at = target.find("continue="); at != std::string::npos) {
    (void)absl::SimpleAtoi(target.substr(at + 9), &begin);
  }
  const int end = std::min(count, begin + 500);
  std::string page = R"({"kind":"AnyList","apiVersion":"v1","metadata":{"resourceVersion":"9")";
  if (end < count) absl::StrAppend(&page, R"(,"continue":")", end, "\"");
  page += "},\"items\":[";
  for (int i = begin; i < end; ++i) absl::StrAppend(&page, i == begin ? "" : ",", item(i));
  return page + "]}";
}

// The cluster's API server, which lists in pages.
bool Say(const std::string& pod, const ApiServerForTest::Call& call,
         ApiServerForTest::Reply& reply) {
  if (absl::StrContains(call.target, "sendInitialEvents")) {
    reply = {.code = 422, .body = "{}"};
  } else if (absl::StrContains(call.target, "watch=true") ||
             absl::StartsWith(call.target, "/apis/split") ||
             absl::StartsWith(call.target, "/apis/specs") ||
             absl::StartsWith(call.target, "/apis/weft")) {
    return false;
  } else if (absl::StartsWith(call.target, "/api/v1/pods")) {
    reply.body = Page(call.target, kPods, [&pod](int i) { return Pod(pod, i); });
  } else if (absl::StartsWith(call.target, "/api/v1/services")) {
    const bool services = absl::StartsWith(call.target, "/api/v1/services?");
    reply.body = Page(call.target, services ? kServices : 0, Service);
  } else if (absl::StrContains(call.target, "/endpointslices")) {
    reply.body = Page(call.target, kServices, Slice);
  } else {
    reply.body = Page(call.target, 0, Service);
  }
  return true;
}

// Serves in a process of its own, until that is killed; how to reach it.
class Cluster {
 public:
  Cluster() {
    int ends[2];
    if (pipe(ends) != 0) abort();
    process_ = fork();
    if (process_ == 0) {
      const std::string pod = PodTemplate();
      ApiServerForTest server;
      server.SetHandler([&pod](const ApiServerForTest::Call& call, ApiServerForTest::Reply& reply) {
        return Say(pod, call, reply);
      });
      const std::string reach = absl::StrCat(server.config().server, "\n", server.config().ca_pem);
      (void)!write(ends[1], reach.data(), reach.size());
      close(ends[1]);
      while (true) pause();
    }
    close(ends[1]);
    std::string reach;
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof(buffer))) > 0;) {
      reach.append(buffer, static_cast<size_t>(n));
    }
    close(ends[0]);
    const size_t line = reach.find('\n');
    config_.server = reach.substr(0, line);
    config_.ca_pem = reach.substr(line + 1);
    config_.token = "token";
  }
  ~Cluster() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  const kubernetes::Config& config() const { return config_; }

 private:
  pid_t process_ = 0;
  kubernetes::Config config_;
};

// "VmRSS" or "VmHWM" (the highest it has been), in megabytes.
int Megabytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (absl::StartsWith(line, field)) return std::stoi(line.substr(field.size() + 1)) / 1024;
  }
  return 0;
}

TEST(KubernetesMemory, TenThousandPodsFit) {
  const Cluster cluster;  // before there are threads here
  const int before = Megabytes("VmRSS");
  Metrics metrics;
  compile::Compiler compiler({});
  auto client = *kubernetes::Client::Create(cluster.config());
  const absl::Time begin = absl::Now();
  const KubernetesSource source(
      *client,
      [&compiler](std::vector<store::Update> updates) { compiler.Apply(std::move(updates)); },
      metrics);
  const absl::Time deadline = absl::Now() + absl::Minutes(4);
  while (!source.Missing().empty() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  ASSERT_TRUE(source.Missing().empty());
  EXPECT_EQ(compiler.GetCounts().pods, static_cast<uint32_t>(kPods));
  EXPECT_EQ(compiler.GetCounts().services, static_cast<uint32_t>(kServices));
  EXPECT_EQ(compiler.GetCounts().endpoints, static_cast<uint32_t>(kPods));
  EXPECT_TRUE(source.Findings().empty());
  std::cout << kPods << " pods of " << kPodBytes << " bytes, " << kServices
            << " services: " << Megabytes("VmRSS") - before << " MB resident, at most "
            << Megabytes("VmHWM") - before << " MB, after "
            << absl::FormatDuration(absl::Trunc(absl::Now() - begin, absl::Milliseconds(10)))
            << " and " << static_cast<double>(std::clock()) / CLOCKS_PER_SEC << " s of CPU"
            << std::endl;
#if !defined(__has_feature) || \
    !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
  EXPECT_LT(Megabytes("VmHWM"), 250);
#endif
}

}  // namespace
}  // namespace weft::source
