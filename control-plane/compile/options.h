// The words users write in annotations and in MeshConfig, and what they mean.
#ifndef WEFT_CONTROL_PLANE_COMPILE_OPTIONS_H_
#define WEFT_CONTROL_PLANE_COMPILE_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control-plane/compile/findings.h"
#include "k8s/meta.pb.h"
#include "weft/v1/discovery.pb.h"

namespace weft::compile {

// An annotation of the "config.weft.io/" family, in this or in NGINX Service Mesh's spelling
// ("config.nsm.nginx.com/"); Weft's own wins if both are there.
struct Annotation {
  std::string key;  // as written, for findings
  std::string value;

  // "metadata.annotations[config.weft.io/lb-method]".
  std::string Field() const;
};
std::optional<Annotation> FindAnnotation(const k8s::ObjectMeta& meta, std::string_view name);

// "off", "permissive", "strict"; nullopt for anything else.
std::optional<weft::v1::MtlsMode> ParseMtlsMode(std::string_view text);

// The ten methods of NGINX Service Mesh: "least_time last_byte inflight". Runs of blanks count as
// one.
std::optional<weft::v1::LbMethod> ParseLbMethod(std::string_view text);

// The words that ParseLbMethod takes, for messages.
std::string LbMethodWords();

// A size in bytes as nginx writes it: "0", "512", "10k", "1m", "2g" (either case, powers of 1024).
std::optional<uint64_t> ParseSize(std::string_view text);

// TCP ports: "3306, 6379, 9000-9010".
class PortSet {
 public:
  // nullopt if a part is no port or no ascending range, or there are more than 256 parts.
  static std::optional<PortSet> Parse(std::string_view text);

  bool Contains(uint32_t port) const;

  // The ports one by one, ascending within a range; at most `limit`.
  std::vector<uint32_t> Ports(size_t limit) const;

 private:
  std::vector<std::pair<uint32_t, uint32_t>> ranges_;  // both ends included
};

// The lb-method of a service, UNSPECIFIED if it has none; an unknown one is a finding and counts as
// none.
weft::v1::LbMethod LbMethodOf(const k8s::ObjectMeta& service, std::string_view object,
                              FindingSink& findings);

// How many opaque ports of a pod its sidecar is told of: they are listed to it one by one.
inline constexpr size_t kMaxOpaquePorts = 1024;

// The pod's ports that carry opaque bytes; malformed ones are a finding and count as none, and so
// is a set of more than kMaxOpaquePorts.
PortSet OpaquePortsOf(const k8s::ObjectMeta& pod, std::string_view object, FindingSink& findings);

// The pod's limit for request bodies, 0 for none; a malformed one is a finding and counts as none.
uint64_t ClientMaxBodyBytesOf(const k8s::ObjectMeta& pod, std::string_view object,
                              FindingSink& findings);

// The stricter of the mesh's mode and the pod's annotation. An annotation that is unknown or would
// loosen the mode is a finding and changes nothing.
weft::v1::MtlsMode TightenedMtlsMode(weft::v1::MtlsMode mesh_mode, const k8s::ObjectMeta& pod,
                                     std::string_view object, FindingSink& findings);

// Findings about annotations that other programs act on: ignore-incoming-ports,
// ignore-outgoing-ports.
void CheckIgnoredPorts(const k8s::ObjectMeta& pod, std::string_view object, FindingSink& findings);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_OPTIONS_H_
