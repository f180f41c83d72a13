#include "control-plane/compile/pod.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/strings.h"
#include "control-plane/compile/address.h"

namespace weft::compile {

bool IsMeshed(const k8s::Pod& pod) {
  auto is_sidecar = [](const k8s::Container& container) {
    return container.name() == ToAbsl(kSidecarContainer);
  };
  return std::ranges::any_of(pod.spec().containers(), is_sidecar) ||
         std::ranges::any_of(pod.spec().init_containers(), is_sidecar);
}

bool IsFinished(const k8s::Pod& pod) {
  return pod.status().phase() == "Succeeded" || pod.status().phase() == "Failed";
}

bool IsReady(const k8s::Pod& pod) {
  // Manifests without controllers may leave the phase out.
  if (!pod.status().phase().empty() && pod.status().phase() != "Running") return false;
  return std::ranges::none_of(pod.status().conditions(), [](const k8s::PodCondition& condition) {
    return condition.type() == "Ready" && condition.status() != "True";
  });
}

bool IsTerminating(const k8s::Pod& pod) { return pod.metadata().has_deletion_timestamp(); }

std::vector<std::string> AddressesOf(const k8s::Pod& pod) {
  std::vector<std::string> addresses;
  auto add = [&](std::string_view ip) {
    std::optional<std::string> canonical = CanonicalIp(ip);
    if (canonical && std::ranges::find(addresses, *canonical) == addresses.end()) {
      addresses.push_back(*std::move(canonical));
    }
  };
  add(pod.status().pod_ip());
  for (const k8s::PodIp& ip : pod.status().pod_ips()) add(ip.ip());
  return addresses;
}

std::string WorkloadName(const k8s::Pod& pod) {
  const auto& owners = pod.metadata().owner_references();
  if (owners.empty()) return pod.metadata().name();
  auto controller = std::ranges::find_if(owners, &k8s::OwnerReference::controller);
  const k8s::OwnerReference& owner = controller == owners.end() ? owners[0] : *controller;
  if (owner.kind() == "ReplicaSet") {
    auto hash = pod.metadata().labels().find("pod-template-hash");
    if (hash != pod.metadata().labels().end() && !hash->second.empty()) {
      absl::string_view name = owner.name();
      if (absl::ConsumeSuffix(&name, absl::StrCat("-", hash->second))) return std::string(name);
    }
  }
  return owner.name();
}

std::string ServiceAccountOf(const k8s::Pod& pod) {
  const std::string& account = pod.spec().service_account_name();
  return account.empty() ? "default" : account;
}

SpiffeId IdentityOf(const k8s::Pod& pod, std::string_view trust_domain) {
  return {.trust_domain = std::string(trust_domain),
          .name_space = pod.metadata().namespace_(),
          .service_account = ServiceAccountOf(pod)};
}

std::optional<uint32_t> NamedPort(const k8s::Pod& pod, std::string_view name) {
  for (const auto* containers : {&pod.spec().containers(), &pod.spec().init_containers()}) {
    for (const k8s::Container& container : *containers) {
      for (const k8s::ContainerPort& port : container.ports()) {
        if (port.name() == ToAbsl(name) && IsTcp(port.protocol()) && port.container_port() > 0) {
          return static_cast<uint32_t>(port.container_port());
        }
      }
    }
  }
  return std::nullopt;
}

std::optional<uint32_t> TargetPort(const k8s::Pod& pod, const k8s::ServicePort& port) {
  const google::protobuf::Value& target = port.target_port();
  if (target.kind_case() == google::protobuf::Value::kNumberValue) {
    double number = target.number_value();
    if (number >= 1 && number <= 65535 && std::floor(number) == number) {
      return static_cast<uint32_t>(number);
    }
    if (number != 0) return std::nullopt;
  }
  if (target.kind_case() == google::protobuf::Value::kStringValue &&
      !target.string_value().empty()) {
    // A name has at least one letter; digits in quotes are a number that somebody quoted.
    if (std::optional<uint32_t> number = ParsePort(target.string_value())) return number;
    return NamedPort(pod, target.string_value());
  }
  if (port.port() < 1 || port.port() > 65535) return std::nullopt;
  return static_cast<uint32_t>(port.port());
}

}  // namespace weft::compile
