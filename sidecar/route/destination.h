// Where traffic to one dialled address goes: the compiled form of weft.v1.Destination.
#ifndef WEFT_SIDECAR_ROUTE_DESTINATION_H_
#define WEFT_SIDECAR_ROUTE_DESTINATION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sidecar/route/explanation.h"
#include "sidecar/route/request.h"
#include "sidecar/route/rule.h"
#include "weft/v1/discovery.pb.h"

namespace weft::route {

// Immutable and shared by the workers. Rules that point into it live as long as it does: whoever
// keeps one across a suspension keeps the shared_ptr too.
//
//   const Rule& rule = *destination->Match({method, path, headers});
//   const Backend* backend = PickLiveBackend(rule, random, has_live_endpoint);  // null: 503
class Destination {
 public:
  // `name` is the resource's name ("10.0.0.1:80"), for messages. InvalidArgument names rule, match
  // and field: a regular expression that is none, names and methods that are none, a weight sum
  // above 2^64-1, a rule after one that applies to every request, a last rule that does not, enum
  // values or a timeout that mean nothing here, and more of anything than the limits allow.
  static absl::StatusOr<std::shared_ptr<const Destination>> Compile(
      std::string_view name, const weft::v1::Destination& destination);

  // The first rule that applies. Never null, because the last rule applies to every request.
  // Allocates nothing in steady state.
  const Rule* Match(const RequestView& request) const;

  // The rule for opaque TCP: the one without matches. Never null.
  const Rule* MatchTcp() const { return &rules_.back(); }

  // What Match() decides, with the reason for each match that was looked at. Allocates.
  Explanation Explain(const RequestView& request) const;

  const std::string& name() const { return name_; }
  weft::v1::Protocol protocol() const { return protocol_; }
  const std::string& service() const {
    return service_;
  }  // "namespace/name"; empty: a pod was dialled
  uint32_t service_port() const { return service_port_; }
  const std::string& split() const { return split_; }  // "namespace/name"; empty: none in force
  weft::v1::LbMethod lb_method() const { return lb_method_; }
  std::optional<absl::Duration> connect_timeout() const { return connect_timeout_; }
  const std::vector<Rule>& rules() const { return rules_; }

  // Names of all Endpoints resources that the rules refer to, each once: what to subscribe to.
  // Those of backends with weight 0 are among them, so that raising a weight finds its endpoints
  // already known.
  const std::vector<std::string>& endpoints() const { return endpoints_; }

 private:
  Destination() = default;

  std::string name_;
  weft::v1::Protocol protocol_ = weft::v1::PROTOCOL_DETECT;
  std::string service_;
  uint32_t service_port_ = 0;
  std::string split_;
  weft::v1::LbMethod lb_method_ = weft::v1::LB_METHOD_UNSPECIFIED;
  std::optional<absl::Duration> connect_timeout_;
  std::vector<Rule> rules_;
  std::vector<std::string> endpoints_;
};

}  // namespace weft::route

#endif  // WEFT_SIDECAR_ROUTE_DESTINATION_H_
