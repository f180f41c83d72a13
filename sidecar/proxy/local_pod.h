// The pod that this sidecar stands in.
#ifndef WEFT_SIDECAR_PROXY_LOCAL_POD_H_
#define WEFT_SIDECAR_PROXY_LOCAL_POD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sidecar/io/address.h"
#include "weft/v1/discovery.pb.h"

namespace weft::proxy {

// The resource Workload in the form that connections ask it. Immutable.
class LocalPod {
 public:
  struct Port {
    weft::v1::Protocol protocol = weft::v1::PROTOCOL_DETECT;
    std::string service;          // "namespace/name"
    uint64_t max_body_bytes = 0;  // 0: no limit
  };

  explicit LocalPod(const weft::v1::Workload& workload);

  weft::v1::MtlsMode mtls_mode() const { return mtls_mode_; }
  bool strict() const { return mtls_mode_ == weft::v1::MTLS_MODE_STRICT; }
  bool off() const { return mtls_mode_ == weft::v1::MTLS_MODE_OFF; }
  const std::string& name_space() const { return name_space_; }
  const std::string& workload() const { return workload_; }
  const std::string& spiffe_id() const { return spiffe_id_; }
  // What this sidecar tells its peers about itself, on mesh connections only: "namespace/workload".
  const std::string& introduction() const { return introduction_; }

  // What is declared of a port; an undeclared one is detected.
  const Port& port(uint16_t number) const;
  // Whether the address is one of the pod's own.
  bool Owns(const io::Address& address) const;

 private:
  weft::v1::MtlsMode mtls_mode_;
  std::string name_space_;
  std::string workload_;
  std::string spiffe_id_;
  std::string introduction_;
  std::vector<io::Address> addresses_;
  absl::flat_hash_map<uint16_t, Port> ports_;
};

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_LOCAL_POD_H_
