#include "sidecar/proxy/local_pod.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::proxy {

LocalPod::LocalPod(const weft::v1::Workload& workload)
    : mtls_mode_(workload.mtls_mode()),
      name_space_(workload.namespace_()),
      workload_(workload.workload()),
      spiffe_id_(workload.spiffe_id()),
      introduction_(absl::StrCat(workload.namespace_(), "/", workload.workload())) {
  for (const std::string& ip : workload.addresses()) {
    // Only compared with; one that is none equals none.
    if (absl::StatusOr<io::Address> address = io::Address::FromIp(ip, 0); address.ok()) {
      addresses_.push_back(*address);
    }
  }
  for (const weft::v1::InboundPort& port : workload.inbound_ports()) {
    ports_[static_cast<uint16_t>(port.port())] = {.protocol = port.protocol(),
                                                  .service = port.service(),
                                                  .max_body_bytes = port.client_max_body_bytes()};
  }
}

const LocalPod::Port& LocalPod::port(uint16_t number) const {
  static const Port undeclared;
  const auto found = ports_.find(number);
  return found == ports_.end() ? undeclared : found->second;
}

bool LocalPod::Owns(const io::Address& address) const {
  return address.is_loopback() || std::ranges::any_of(addresses_, [&](const io::Address& own) {
           return own.SameIp(address);
         });
}

}  // namespace weft::proxy
