#include "sidecar/admin/pages.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "spdlog/spdlog.h"

namespace weft::admin {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";
constexpr io::Nanos kScrapeTimeout = 5 * io::kSecond;

Response Json(std::string body) {
  return {.status = 200, .content_type = std::string(kJson), .body = std::move(body)};
}

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

// Certificates are public; the key is not part of the status.
Response Certificates(const identity::IdentityStatus& status) {
  google::protobuf::Struct page;
  auto& fields = *page.mutable_fields();
  fields["valid"].set_bool_value(status.has_certificate);
  if (!status.spiffe_id.empty()) {
    fields["spiffe_id"].set_string_value(status.spiffe_id);
    fields["serial"].set_string_value(status.serial);
    fields["not_before"].set_string_value(Rfc3339(status.not_before));
    fields["not_after"].set_string_value(Rfc3339(status.not_after));
    fields["seconds_left"].set_number_value(
        static_cast<double>(absl::ToInt64Seconds(status.not_after - absl::Now())));
  }
  if (status.next_attempt != absl::InfiniteFuture() &&
      status.next_attempt != absl::InfinitePast()) {
    fields["next_attempt"].set_string_value(Rfc3339(status.next_attempt));
  }
  fields["certificates"].set_number_value(static_cast<double>(status.certificates));
  fields["failures"].set_number_value(static_cast<double>(status.failures));
  if (!status.last_error.empty()) fields["last_error"].set_string_value(status.last_error);
  for (const std::string& pem : status.chain_pem) {
    fields["chain_pem"].mutable_list_value()->add_values()->set_string_value(pem);
  }
  for (const std::string& pem : status.roots_pem) {
    fields["roots_pem"].mutable_list_value()->add_values()->set_string_value(pem);
  }
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(page, &json, options).ok()) {
    return {.status = 500, .body = "the status is no JSON\n"};
  }
  return Json(std::move(json));
}

io::Task<Response> Metrics(telemetry::Telemetry* telemetry, bool own_only) {
  absl::StatusOr<std::string> text =
      co_await telemetry->Scrape(io::MonotonicNow() + kScrapeTimeout);
  if (!text.ok()) {
    co_return Response{.status = 503, .body = absl::StrCat(text.status().message(), "\n")};
  }
  if (!own_only) {
    co_return Response{.content_type = std::string(kPrometheus), .body = *std::move(text)};
  }
  std::string own;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (line.substr(0, 5) == "weft_") absl::StrAppend(&own, line, "\n");
  }
  co_return Response{.body = std::move(own)};
}

Response ShowLogLevel() {
  const auto level = spdlog::level::to_string_view(spdlog::get_level());
  return {.body = absl::StrCat("level=", absl::string_view(level.data(), level.size()), "\n")};
}

Response SetLogLevel(const Request& request) {
  const auto found = request.query.find("level");
  if (found == request.query.end()) {
    return {.status = 400, .body = "query parameter \"level\" is missing\n"};
  }
  const spdlog::level::level_enum level = spdlog::level::from_str(found->second);
  if (level == spdlog::level::off && found->second != "off") {
    return {.status = 400, .body = "level is not one of trace, debug, info, warn, error, off\n"};
  }
  spdlog::set_level(level);
  return ShowLogLevel();
}

// As SIGTERM does it.
Response Quit(const Request& /*request*/) {
  WEFT_LOG_INFO("the application asks the sidecar to end");
  kill(getpid(), SIGTERM);
  return {.body = "draining\n"};
}

Response Ready(const Readiness& readiness) {
  std::string missing = readiness.Missing();
  if (!missing.empty()) return {.status = 503, .body = std::move(missing)};
  return {.body = "ready\n"};
}

prometheus::MetricFamily ByType(std::string name, std::string help,
                                const std::vector<std::pair<std::string, size_t>>& values) {
  prometheus::MetricFamily family{
      std::move(name), std::move(help), prometheus::MetricType::Gauge, {}};
  for (const auto& [type, value] : values) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.label.push_back({"type", type});
    metric.gauge.value = static_cast<double>(value);
  }
  return family;
}

}  // namespace

void AddAdminPages(Server& server, const Subjects& subjects) {
  server.Get("/config_dump", "the configuration held, as JSON",
             [client = subjects.discovery](const Request&) { return Json(client->ConfigDump()); });
  server.Get(
      "/certs", "certificate and roots, as JSON",
      [identity = subjects.identity](const Request&) { return Certificates(identity->status()); });
  server.Get("/stats", "the sidecar's own metrics",
             [telemetry = subjects.telemetry](Request) { return Metrics(telemetry, true); });
  server.Get("/logging", "the log level; POST ?level=... changes it",
             [](const Request&) { return ShowLogLevel(); });
  server.Post("/logging", "the log level; POST ?level=... changes it", SetLogLevel);
  server.Post("/quit", "drains the sidecar and ends it: for Jobs whose sidecar is no native one",
              Quit);
  server.Get("/ready", "readiness and what is missing",
             [readiness = subjects.readiness](const Request&) { return Ready(*readiness); });
}

void AddMetricsPages(Server& server, const Subjects& subjects) {
  for (const char* path : {"/metrics", "/stats/prometheus"}) {
    server.Get(path, "metrics in Prometheus' text format",
               [telemetry = subjects.telemetry](Request) { return Metrics(telemetry, false); });
  }
}

void AddHealthPages(Server& server, const Subjects& subjects) {
  server.Get("/healthz/ready", "200 if traffic can be taken, else 503 and why not",
             [readiness = subjects.readiness](const Request&) { return Ready(*readiness); });
  server.Get("/healthz/live", "200 while the process serves",
             [](const Request&) { return Response{.body = "live\n"}; });
}

void RequireConfiguration(Readiness& readiness, const discovery::Client* discovery,
                          const identity::Identity* identity) {
  readiness.Require([identity]() -> std::string {
    const identity::IdentityStatus status = identity->status();
    if (status.has_certificate) return "";
    std::string reason =
        status.certificates == 0 ? "no certificate yet" : "the certificate has expired";
    if (!status.last_error.empty()) absl::StrAppend(&reason, ": ", status.last_error);
    return reason;
  });
  readiness.Require([discovery]() -> std::string {
    const discovery::ClientStatus status = discovery->status();
    if (status.configured()) return "";
    std::string reason = "configuration not received yet:";
    if (!status.has_workload) absl::StrAppend(&reason, " Workload");
    if (!status.has_trust_bundle) absl::StrAppend(&reason, " TrustBundle");
    if (!status.has_settings) absl::StrAppend(&reason, " MeshSettings");
    if (!status.last_error.empty()) absl::StrAppend(&reason, ": ", status.last_error);
    return reason;
  });
}

void AddControlSideMetrics(telemetry::Telemetry& telemetry, const discovery::Client* discovery,
                           const identity::Identity* identity) {
  using telemetry::CounterFamily;
  using telemetry::GaugeFamily;
  telemetry.AddCollector([discovery, identity](std::vector<prometheus::MetricFamily>& families) {
    prometheus::MetricFamily build = GaugeFamily("weft_build_info", "Always 1.", 1);
    build.metric.front().label.push_back({"version", std::string(kVersion)});
    families.push_back(std::move(build));

    const identity::IdentityStatus id = identity->status();
    if (!id.spiffe_id.empty()) {
      families.push_back(
          GaugeFamily("weft_certificate_seconds_left",
                      "Until the workload's certificate expires; negative once it has.",
                      absl::ToDoubleSeconds(id.not_after - absl::Now())));
    }
    families.push_back(CounterFamily("weft_certificates_total", "Certificates obtained.",
                                     static_cast<double>(id.certificates)));
    families.push_back(CounterFamily("weft_certificate_failures_total",
                                     "Attempts to obtain a certificate that failed.",
                                     static_cast<double>(id.failures)));

    const discovery::ClientStatus d = discovery->status();
    families.push_back(GaugeFamily("weft_discovery_connected",
                                   "1 while a stream to the control plane is open.",
                                   d.connected ? 1 : 0));
    families.push_back(CounterFamily("weft_discovery_streams_total",
                                     "Streams opened to the control plane.",
                                     static_cast<double>(d.streams)));
    families.push_back(CounterFamily("weft_discovery_failures_total",
                                     "Connections and streams to the control plane that failed.",
                                     static_cast<double>(d.failed_dials)));
    families.push_back(CounterFamily("weft_discovery_acks_total",
                                     "Responses of the control plane that were accepted.",
                                     static_cast<double>(d.responses)));
    families.push_back(CounterFamily("weft_discovery_nacks_total",
                                     "Responses of the control plane that were refused.",
                                     static_cast<double>(d.nacks)));
    families.push_back(GaugeFamily("weft_discovery_refused_resources",
                                   "Resources whose last version was refused.",
                                   static_cast<double>(d.refused)));
    families.push_back(ByType("weft_discovery_subscriptions", "Resources subscribed to on demand.",
                              {{"Destination", d.destinations}, {"Endpoints", d.endpoints}}));
  });
}

}  // namespace weft::admin
