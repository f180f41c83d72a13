#include "control-plane/discovery/response.h"

#include <string_view>

#include "envoy/service/discovery/v3/discovery.pb.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpcpp/support/slice.h"

namespace weft::discovery {
namespace {

using ::envoy::service::discovery::v3::DeltaDiscoveryResponse;
using ::google::protobuf::Any;
using ::google::protobuf::internal::WireFormatLite;

// Small content is copied: a slice of its own costs more than that.
constexpr size_t kCopyUpTo = 512;

// Appends a field header: tag of a length-delimited field and the length of what follows.
void AppendHeader(std::string& out, int field, size_t length) {
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteTag(WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  coded.WriteVarint32(static_cast<uint32_t>(length));
}

void AppendField(std::string& out, int field, std::string_view value) {
  AppendHeader(out, field, value.size());
  out += value;
}

// All of the resource's field in the response that stands before its content.
std::string HeadOf(const compile::Resource& resource) {
  using Envelope = envoy::service::discovery::v3::Resource;
  std::string any;
  AppendField(any, Any::kTypeUrlFieldNumber, compile::TypeUrl(resource.key.type));
  AppendHeader(any, Any::kValueFieldNumber, resource.bytes.size());
  std::string envelope;
  AppendField(envelope, Envelope::kVersionFieldNumber, resource.version);
  AppendField(envelope, Envelope::kNameFieldNumber, resource.key.name);
  AppendHeader(envelope, Envelope::kResourceFieldNumber, any.size() + resource.bytes.size());
  envelope += any;
  std::string head;
  AppendHeader(head, DeltaDiscoveryResponse::kResourcesFieldNumber,
               envelope.size() + resource.bytes.size());
  head += envelope;
  return head;
}

// The resource's content as memory that gRPC shares; it gives its part up when it has written it.
grpc::Slice Share(const ResourcePtr& resource) {
  auto* owner = new ResourcePtr(resource);
  return {const_cast<char*>(resource->bytes.data()), resource->bytes.size(),
          [](void* shared) { delete static_cast<ResourcePtr*>(shared); }, owner};
}

}  // namespace

grpc::ByteBuffer Encode(const Response& response) {
  std::vector<grpc::Slice> slices;
  std::string own;
  AppendField(own, DeltaDiscoveryResponse::kTypeUrlFieldNumber, compile::TypeUrl(response.type));
  AppendField(own, DeltaDiscoveryResponse::kNonceFieldNumber, response.nonce);
  for (const std::string& name : response.removed) {
    AppendField(own, DeltaDiscoveryResponse::kRemovedResourcesFieldNumber, name);
  }
  for (const ResourcePtr& resource : response.resources) {
    own += HeadOf(*resource);
    if (resource->bytes.size() <= kCopyUpTo) {
      own += resource->bytes;
      continue;
    }
    slices.emplace_back(own);
    own.clear();
    slices.push_back(Share(resource));
  }
  if (!own.empty()) slices.emplace_back(own);
  return {slices.data(), slices.size()};
}

}  // namespace weft::discovery
