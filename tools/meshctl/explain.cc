#include "tools/meshctl/explain.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "sidecar/http/headers.h"
#include "sidecar/route/destination.h"
#include "tools/meshctl/control_plane.h"
#include "tools/meshctl/findings.h"
#include "tools/meshctl/lists.h"
#include "tools/meshctl/output.h"

namespace weft::meshctl {
namespace {

bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

absl::StatusOr<http::Headers> ParseHeaders(const Question& question) {
  http::Headers headers;
  for (const std::string& line : question.headers) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || !IsToken(std::string_view(line).substr(0, colon))) {
      return absl::InvalidArgumentError(
          absl::StrCat("-H \"", line, "\" is not \"name: value\" (RFC 9110 section 5)"));
    }
    headers.Add(std::string_view(line).substr(0, colon),
                ToStd(absl::StripAsciiWhitespace(absl::string_view(line).substr(colon + 1))));
  }
  if (!headers.Has("host")) headers.Add("host", question.url.authority);
  return headers;
}

// Whether the sidecar looks at requests of this destination at all.
bool IsHttp(v1::Protocol protocol, bool tls) {
  if (tls) return false;
  return protocol != v1::PROTOCOL_TLS && protocol != v1::PROTOCOL_TCP;
}

const v1::Endpoints* EndpointsOf(const route::Backend& backend,
                                 const v1::ResolveRouteResponse& resolved) {
  const auto found = resolved.endpoints().find(backend.endpoints);
  return found == resolved.endpoints().end() ? nullptr : &found->second;
}

bool IsLive(const route::Backend& backend, const v1::ResolveRouteResponse& resolved) {
  const v1::Endpoints* endpoints = EndpointsOf(backend, resolved);
  return backend.Eligible() && endpoints != nullptr && endpoints->endpoints_size() > 0;
}

// Shares as route::PickLiveBackend makes them: weights are ratios over the live backends.
void AddBackends(const route::Rule& rule, const v1::ResolveRouteResponse& resolved,
                 RouteExplanation& explanation) {
  double live_weight = 0;
  for (const route::Backend& backend : rule.backends) {
    if (IsLive(backend, resolved)) live_weight += static_cast<double>(backend.weight);
  }
  for (const route::Backend& backend : rule.backends) {
    RouteExplanation::Backend& shown = *explanation.add_backends();
    shown.set_service(backend.service);
    shown.set_weight(backend.weight);
    shown.set_endpoints_name(backend.endpoints);
    if (IsLive(backend, resolved)) {
      shown.set_share_percent(100 * static_cast<double>(backend.weight) / live_weight);
    }
    if (const v1::Endpoints* endpoints = EndpointsOf(backend, resolved)) {
      *shown.mutable_endpoints() = endpoints->endpoints();
    }
  }
  if (live_weight > 0) return;
  explanation.set_failure(rule.eligible_weight == 0
                              ? std::string(route::WhyNoBackend(rule))
                              : "no backend with a weight has a ready endpoint");
}

void AddVerdicts(const route::Explanation& decided, RouteExplanation& explanation) {
  for (const route::RuleVerdict& verdict : decided.rules) {
    RouteExplanation::RuleVerdict& rule = *explanation.add_rules();
    rule.set_number(static_cast<uint32_t>(verdict.index + 1));
    rule.set_applies(verdict.applies);
    for (const route::MatchVerdict& match : verdict.matches) {
      RouteExplanation::MatchVerdict& shown = *rule.add_matches();
      shown.set_group(match.group);
      shown.set_name(match.name);
      shown.set_applies(match.applies);
      shown.set_reason(match.reason);
    }
  }
}

std::string ReasonOf(const route::Explanation& decided, const route::Destination& destination) {
  const size_t number = decided.rule->index + 1;
  const std::string which = absl::StrCat("rule ", number, " of ", destination.rules().size());
  if (decided.match.has_value()) {
    const route::Match& match = decided.rule->matches[*decided.match];
    return absl::StrCat(which, ": match \"", match.name(), "\" of HTTPRouteGroup ", match.group(),
                        " applies");
  }
  if (!destination.split().empty() && destination.rules().size() == 1) {
    return absl::StrCat(which, ": TrafficSplit ", destination.split(), " splits every request");
  }
  if (number > 1) {
    return absl::StrCat(which, ": no earlier rule applies, and this one takes every request");
  }
  return absl::StrCat(which, ": it takes every request");
}

std::string EndpointText(const v1::Endpoint& endpoint) {
  const bool ipv6 = endpoint.address().find(':') != std::string::npos;
  return absl::StrCat(ipv6 ? "[" : "", endpoint.address(), ipv6 ? "]" : "", ":", endpoint.port());
}

}  // namespace

absl::StatusOr<RouteExplanation> Explain(const Question& question,
                                         const v1::ResolveRouteResponse& resolved) {
  RouteExplanation explanation;
  explanation.set_source_workload(question.from);
  explanation.set_method(question.method);
  explanation.set_url(absl::StrCat(question.url.tls ? "https://" : "http://",
                                   question.url.authority, question.url.target));
  *explanation.mutable_findings() = resolved.findings();
  absl::StatusOr<http::Headers> headers = ParseHeaders(question);
  if (!headers.ok()) return headers.status();
  if (!IsToken(question.method)) {
    return absl::InvalidArgumentError(
        absl::StrCat("-X \"", question.method, "\" is not a method (RFC 9110 section 9)"));
  }
  explanation.set_port(question.url.port);
  if (resolved.destination_name().empty()) {
    explanation.set_passes_through(true);
    explanation.set_reason(
        "no service and no pod of the mesh has this host: it passes through as TCP");
    return explanation;
  }
  absl::StatusOr<std::shared_ptr<const route::Destination>> compiled =
      route::Destination::Compile(resolved.destination_name(), resolved.destination());
  if (!compiled.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "a sidecar refuses this destination and keeps what it had: ", compiled.status().message()));
  }
  const route::Destination& destination = **compiled;
  explanation.set_destination(destination.name());
  explanation.set_service(destination.service());
  if (destination.service_port() != 0) explanation.set_port(destination.service_port());
  explanation.set_protocol(destination.protocol());
  explanation.set_split(destination.split());
  const route::Rule* rule = nullptr;
  if (IsHttp(destination.protocol(), question.url.tls)) {
    const route::Explanation decided =
        destination.Explain({question.method, question.url.target, *headers});
    rule = decided.rule;
    AddVerdicts(decided, explanation);
    explanation.set_reason(ReasonOf(decided, destination));
  } else {
    rule = destination.MatchTcp();
    explanation.set_reason(absl::StrCat(
        "rule ", rule->index + 1, " of ", destination.rules().size(),
        ": the connection is opaque bytes to the sidecar, so conditions on requests do not count"));
  }
  explanation.set_decided_by(static_cast<uint32_t>(rule->index + 1));
  AddBackends(*rule, resolved, explanation);
  return explanation;
}

std::string ExplanationText(const RouteExplanation& explanation) {
  std::string text = absl::StrCat(explanation.method(), " ", explanation.url(), " from ",
                                  explanation.source_workload(), "\n\n");
  if (explanation.passes_through()) {
    absl::StrAppend(&text, "Passes through: ", explanation.reason(), "\n");
  } else {
    absl::StrAppend(
        &text, "Destination   ", explanation.destination(), "  (",
        explanation.service().empty() ? "a pod" : absl::StrCat("Service ", explanation.service()),
        ", port ", explanation.port(), ", ", ProtocolName(explanation.protocol()), ")\n",
        "Split         ", explanation.split().empty() ? "none" : explanation.split(), "\n");
    for (const auto& rule : explanation.rules()) {
      absl::StrAppend(&text, "Rule ", rule.number(), "        ",
                      rule.applies() ? Paint(Colour::kGreen, "applies") : "does not apply", "\n");
      for (const auto& match : rule.matches()) {
        absl::StrAppend(&text, "  match       ", match.group(), " \"", match.name(), "\" ",
                        match.applies() ? Paint(Colour::kGreen, "applies")
                                        : absl::StrCat("does not: ", match.reason()),
                        "\n");
      }
    }
    absl::StrAppend(&text, "Because       ", explanation.reason(), "\n\n");
    Table table({"BACKEND", "WEIGHT", "SHARE", "ENDPOINT", "POD", "IDENTITY"});
    for (const auto& backend : explanation.backends()) {
      const std::string weight = absl::StrCat(backend.weight());
      const std::string share = absl::StrFormat("%.1f%%", backend.share_percent());
      if (backend.endpoints().empty()) {
        table.Add({backend.service(), weight, share,
                   backend.endpoints_name().empty() ? "no such service or port" : "none ready", "",
                   ""});
      }
      bool first = true;
      for (const v1::Endpoint& endpoint : backend.endpoints()) {
        const bool draining = endpoint.health() == v1::HEALTH_DRAINING;
        table.Add(
            {first ? backend.service() : " ", first ? weight : " ", first ? share : " ",
             absl::StrCat(EndpointText(endpoint), draining ? " (draining)" : ""),
             endpoint.pod().empty() ? "" : absl::StrCat(endpoint.namespace_(), "/", endpoint.pod()),
             endpoint.meshed() ? endpoint.spiffe_id() : "plaintext: no sidecar"});
        first = false;
      }
    }
    absl::StrAppend(&text, table.ToString());
    if (!explanation.failure().empty()) {
      absl::StrAppend(&text, "\n", Paint(Colour::kRed, "Fails with 503"), ": ",
                      explanation.failure(), "\n");
    }
  }
  if (!explanation.findings().empty()) {
    absl::StrAppend(&text, "\n", FindingsText(explanation.findings(), 0));
  }
  return text;
}

absl::Status ExplainRoute(const Options& options, const std::string& from,
                          const std::string& method, const std::string& url,
                          const std::vector<std::string>& headers) {
  absl::StatusOr<RequestUrl> parsed = RequestUrl::Parse(url);
  if (!parsed.ok()) return parsed.status();
  absl::StatusOr<std::string> workload = QualifiedWorkload(options, from, "--from");
  if (!workload.ok()) return workload.status();
  const Question question{*workload, method, *parsed, headers};
  absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
  if (!control_plane.ok()) return control_plane.status();
  v1::ResolveRouteRequest request;
  request.set_source_workload(*workload);
  request.set_host(parsed->host);
  request.set_port(parsed->port);
  const absl::StatusOr<v1::ResolveRouteResponse> resolved =
      control_plane->Call(&v1::InspectService::Stub::ResolveRoute, request);
  if (!resolved.ok()) return resolved.status();
  const absl::StatusOr<RouteExplanation> explanation = Explain(question, *resolved);
  if (!explanation.ok()) return explanation.status();
  if (options.format != Format::kTable) return PrintMessage(*explanation, options.format);
  std::cout << ExplanationText(*explanation);
  return absl::OkStatus();
}

}  // namespace weft::meshctl
