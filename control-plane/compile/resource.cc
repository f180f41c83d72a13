#include "control-plane/compile/resource.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace weft::compile {
namespace {

constexpr std::string_view kUrls[] = {
    "type.googleapis.com/weft.v1.Workload", "type.googleapis.com/weft.v1.Destination",
    "type.googleapis.com/weft.v1.Endpoints", "type.googleapis.com/weft.v1.TrustBundle",
    "type.googleapis.com/weft.v1.MeshSettings"};

constexpr std::string_view kUrlPrefix = "type.googleapis.com/weft.v1.";

// FNV-1a, 128 bits: the same on every machine and in every release, which absl::Hash is not.
std::string ContentHash(std::string_view bytes) {
  using Word = unsigned __int128;
  constexpr Word kPrime = (Word{1} << 88) + 0x13B;
  Word hash = (Word{0x6c62272e07bb0142} << 64) + 0x62b821756295c58d;
  for (unsigned char c : bytes) {
    hash ^= c;
    hash *= kPrime;
  }
  return absl::StrCat(absl::Hex(static_cast<uint64_t>(hash >> 64), absl::kZeroPad16),
                      absl::Hex(static_cast<uint64_t>(hash), absl::kZeroPad16));
}

}  // namespace

std::string_view TypeUrl(ResourceType type) { return kUrls[static_cast<int>(type)]; }

std::string_view TypeName(ResourceType type) { return TypeUrl(type).substr(kUrlPrefix.size()); }

std::optional<ResourceType> ParseTypeUrl(std::string_view url) {
  for (ResourceType type : kResourceTypes) {
    if (TypeUrl(type) == url) return type;
  }
  return std::nullopt;
}

Resource MakeResource(ResourceKey key, const google::protobuf::MessageLite& message) {
  Resource resource{.key = std::move(key), .version = {}, .bytes = {}};
  {
    google::protobuf::io::StringOutputStream stream(&resource.bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  resource.version = ContentHash(resource.bytes);
  return resource;
}

}  // namespace weft::compile
