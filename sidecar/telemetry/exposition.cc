#include "sidecar/telemetry/exposition.h"

#include <limits>
#include <map>
#include <sstream>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "prometheus/text_serializer.h"

namespace weft::telemetry {
namespace {

using Label = prometheus::ClientMetric::Label;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::string_view kUnknown = "unknown";

void AddLabel(std::vector<Label>& into, std::string_view name, std::string_view value) {
  into.push_back({std::string(name), std::string(value)});
}

std::string_view OrUnknown(std::string_view value) { return value.empty() ? kUnknown : value; }

void AddPeer(std::vector<Label>& into, const std::string& end, const Peer& peer) {
  constexpr std::string_view kScheme = "spiffe://";
  std::string_view principal = peer.principal;
  if (principal.starts_with(kScheme)) principal.remove_prefix(kScheme.size());
  const std::string_view workload = OrUnknown(peer.workload);
  AddLabel(into, end + "_workload", workload);
  AddLabel(into, end + "_workload_namespace", OrUnknown(peer.name_space));
  AddLabel(into, end + "_principal", OrUnknown(principal));
  // Istio takes these from pod labels, and from the workload where there are none.
  AddLabel(into, end + "_app", workload);
  AddLabel(into, end + "_version", "latest");
  AddLabel(into, end + "_canonical_service", workload);
  AddLabel(into, end + "_canonical_revision", "latest");
  AddLabel(into, end + "_cluster", "Kubernetes");
}

void AddService(std::vector<Label>& into, const HopLabels& labels) {
  const size_t slash = labels.service.find('/');
  if (slash != std::string_view::npos) {
    const std::string_view name_space = labels.service.substr(0, slash);
    const std::string_view name = labels.service.substr(slash + 1);
    AddLabel(into, "destination_service",
             absl::StrCat(ToAbsl(name), ".", ToAbsl(name_space), ".svc.cluster.local"));
    AddLabel(into, "destination_service_name", name);
    AddLabel(into, "destination_service_namespace", name_space);
  } else {
    AddLabel(into, "destination_service", OrUnknown(labels.host));
    AddLabel(into, "destination_service_name",
             labels.host.empty() ? kUnknown : std::string_view("PassthroughCluster"));
    AddLabel(into, "destination_service_namespace", OrUnknown(labels.destination.name_space));
  }
}

std::string_view SecurityName(Security security) {
  switch (security) {
    case Security::kNone:
      return "none";
    case Security::kMutualTls:
      return "mutual_tls";
    case Security::kUnknown:
      break;
  }
  return kUnknown;
}

MetricFamily Family(std::string name, std::string help, MetricType type) {
  return MetricFamily{std::move(name), std::move(help), type, {}};
}

template <size_t kBounds>
ClientMetric::Histogram ToPrometheus(const Histogram<kBounds>& histogram,
                                     const std::array<double, kBounds>& bounds) {
  ClientMetric::Histogram out;
  uint64_t count = 0;
  for (size_t i = 0; i <= kBounds; ++i) {
    count += histogram.buckets[i];
    out.bucket.push_back(
        {count, i < kBounds ? bounds[i] : std::numeric_limits<double>::infinity()});
  }
  out.sample_count = count;
  out.sample_sum = histogram.sum;
  return out;
}

// Families are written one by one, so that only one at a time is held in this form.
class Writer {
 public:
  void Write(MetricFamily family) {
    if (family.metric.empty()) return;
    serializer_.Serialize(out_, {std::move(family)});
  }
  std::string Take() { return std::move(out_).str(); }

 private:
  std::ostringstream out_;
  prometheus::TextSerializer serializer_;
};

template <typename Samples, typename Fill>
void WriteFamily(Writer& writer, std::string name, std::string help, MetricType type,
                 const Samples& samples, bool tcp, const Fill& fill) {
  MetricFamily family = Family(std::move(name), std::move(help), type);
  family.metric.reserve(samples.size());
  for (const auto& sample : samples) {
    ClientMetric& metric = family.metric.emplace_back();
    metric.label = StandardLabels(sample.labels->request(), tcp);
    fill(metric, sample.values);
  }
  writer.Write(std::move(family));
}

void WriteRequests(Writer& writer, const std::vector<LabelledValues<RequestValues>>& samples) {
  WriteFamily(writer, "istio_requests_total", "Requests that this sidecar has carried.",
              MetricType::Counter, samples, false, [](ClientMetric& m, const RequestValues& v) {
                m.counter.value = static_cast<double>(v.requests);
              });
  WriteFamily(writer, "istio_request_duration_milliseconds",
              "Time from the head of a request to the end of its response.", MetricType::Histogram,
              samples, false, [](ClientMetric& m, const RequestValues& v) {
                m.histogram = ToPrometheus(v.duration, kMillisecondBounds);
              });
  WriteFamily(writer, "istio_request_bytes", "Bytes of request bodies.", MetricType::Histogram,
              samples, false, [](ClientMetric& m, const RequestValues& v) {
                m.histogram = ToPrometheus(v.request_bytes, kByteBounds);
              });
  WriteFamily(writer, "istio_response_bytes", "Bytes of response bodies.", MetricType::Histogram,
              samples, false, [](ClientMetric& m, const RequestValues& v) {
                m.histogram = ToPrometheus(v.response_bytes, kByteBounds);
              });
}

void WriteTcp(Writer& writer, const std::vector<LabelledValues<TcpValues>>& samples) {
  const auto write = [&](std::string name, std::string help, uint64_t TcpValues::* field) {
    WriteFamily(writer, std::move(name), std::move(help), MetricType::Counter, samples, true,
                [field](ClientMetric& m, const TcpValues& v) {
                  m.counter.value = static_cast<double>(v.*field);
                });
  };
  write("istio_tcp_connections_opened_total", "TCP connections opened.", &TcpValues::opened);
  write("istio_tcp_connections_closed_total", "TCP connections closed.", &TcpValues::closed);
  write("istio_tcp_sent_bytes_total", "Bytes sent to the client of a TCP connection.",
        &TcpValues::sent_bytes);
  write("istio_tcp_received_bytes_total", "Bytes received from the client of a TCP connection.",
        &TcpValues::received_bytes);
}

void WriteNamed(Writer& writer, const std::vector<NamedSample>& samples) {
  std::map<std::string_view, MetricFamily> families;
  for (const NamedSample& sample : samples) {
    auto& family = families[sample.name];
    if (family.name.empty()) {
      family = Family(std::string(sample.name), std::string(sample.help),
                      sample.gauge ? MetricType::Gauge : MetricType::Counter);
    }
    ClientMetric& metric = family.metric.emplace_back();
    for (const auto& [name, value] : sample.labels) AddLabel(metric.label, name, value);
    (sample.gauge ? metric.gauge.value : metric.counter.value) = sample.value;
  }
  for (auto& [name, family] : families) writer.Write(std::move(family));
}

}  // namespace

std::vector<Label> StandardLabels(const RequestLabels& labels, bool tcp) {
  std::vector<Label> out;
  out.reserve(25);
  AddLabel(out, "reporter", labels.reporter == Reporter::kSource ? "source" : "destination");
  AddPeer(out, "source", labels.source);
  AddPeer(out, "destination", labels.destination);
  AddService(out, labels);
  AddLabel(out, "request_protocol", tcp ? "tcp" : labels.grpc ? "grpc" : "http");
  if (!tcp) {
    AddLabel(out, "response_code", absl::StrCat(labels.response_code));
    AddLabel(out, "grpc_response_status", labels.grpc_response_status);
  }
  AddLabel(out, "response_flags", labels.response_flags.empty() ? "-" : labels.response_flags);
  AddLabel(out, "connection_security_policy", SecurityName(labels.security));
  return out;
}

std::string Expose(const Totals& totals, const std::vector<MetricFamily>& others) {
  Writer writer;
  WriteRequests(writer, totals.requests);
  WriteTcp(writer, totals.tcp);
  WriteNamed(writer, totals.named);
  for (const MetricFamily& family : others) writer.Write(family);
  return writer.Take();
}

}  // namespace weft::telemetry
