// A DeltaDiscoveryResponse on its way out. The resources' bytes are not copied into it: every
// stream sends the same memory, which the message keeps alive until gRPC has written it.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_RESPONSE_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_RESPONSE_H_

#include <string>
#include <vector>

#include "control-plane/discovery/catalogue.h"
#include "grpcpp/support/byte_buffer.h"

namespace weft::discovery {

// One response of one type.
struct Response {
  compile::ResourceType type;
  std::string nonce;
  std::vector<ResourcePtr> resources;
  std::vector<std::string> removed;
};

// The response in protobuf's wire format, as envoy.service.discovery.v3.DeltaDiscoveryResponse.
grpc::ByteBuffer Encode(const Response& response);

}  // namespace weft::discovery

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_RESPONSE_H_
