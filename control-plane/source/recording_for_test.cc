#include "control-plane/source/recording_for_test.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace weft::source {
namespace {

using Json = nlohmann::ordered_json;

std::ifstream Open(const std::string& name) {
  return std::ifstream("control-plane/source/testdata/kubernetes/" + name);
}

}  // namespace

RecordedWatch ReadWatch(const std::string& name) {
  RecordedWatch watch;
  std::ifstream in = Open(name);
  size_t ahead = 0;  // bytes of the next event that an earlier chunk has carried
  size_t ahead_in = 0;
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line);
    if (!json.contains("chunk")) continue;
    const auto chunk = json["chunk"].get<size_t>() - 1;
    if (watch.chunks.size() <= chunk) {
      watch.chunks.resize(chunk + 1);
      watch.events_in.resize(chunk + 1);
    }
    if (json.contains("partial")) {
      ahead = json["partial"].get<size_t>();
      ahead_in = chunk;
      continue;
    }
    const std::string event = json["event"].dump() + "\n";
    watch.chunks[ahead_in] += event.substr(0, ahead);
    watch.chunks[chunk] += event.substr(ahead);
    ++watch.events_in[chunk];
    ahead = 0;
  }
  return watch;
}

kubernetes::ApiServerForTest::Reply ReadReply(const std::string& name) {
  std::ifstream in = Open(name);
  const Json json = Json::parse(in);
  const Json& response = json["response"];
  kubernetes::ApiServerForTest::Reply reply;
  reply.code = response["status"].get<int>();
  reply.body = response["body"].is_string() ? response["body"].get<std::string>()
                                            : response["body"].dump() + "\n";
  for (const auto& [header, value] : response["headers"].items()) {
    if (header == "Content-Type") reply.content_type = value.get<std::string>();
    if (header == "Retry-After") reply.headers[header] = value.get<std::string>();
  }
  return reply;
}

}  // namespace weft::source
