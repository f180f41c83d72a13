#include "control-plane/source/yaml.h"

#include <exception>
#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "control-plane/source/yaml_builder.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"

namespace weft::source {

absl::StatusOr<std::vector<google::protobuf::Value>> ParseYaml(std::string_view bytes,
                                                               const YamlLimits& limits) {
  if (bytes.size() > limits.bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the file is larger than ", limits.bytes, " bytes"));
  }
  YamlBuilder builder(limits);
  // yaml-cpp reports errors by exceptions, and so does the builder towards it; they end here.
  try {
    std::istringstream stream{std::string(bytes)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.TakeDocuments();
  } catch (const YamlBuilder::Stop& stop) {
    return stop.status;
  } catch (const YAML::Exception& error) {
    return builder.ErrorAt(error.mark, error.msg);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace weft::source
