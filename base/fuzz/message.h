// Protobuf messages out of a fuzzer's bytes.
#ifndef WEFT_BASE_FUZZ_MESSAGE_H_
#define WEFT_BASE_FUZZ_MESSAGE_H_

#include <string>

#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace weft {

// In text format, as seeds are easiest to write, or serialized. Text first: most text is also the
// serialized form of some unknown fields. False if it is neither.
inline bool ParseFuzzedMessage(const std::string& bytes, google::protobuf::Message* message) {
  class SilentErrors : public google::protobuf::io::ErrorCollector {
   public:
    void AddError(int, int, const std::string&) override {}
    void AddWarning(int, int, const std::string&) override {}
  };
  constexpr int kMaxNesting = 20;
  SilentErrors errors;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.SetRecursionLimit(kMaxNesting);
  return parser.ParseFromString(bytes, message) || message->ParseFromString(bytes);
}

}  // namespace weft

#endif  // WEFT_BASE_FUZZ_MESSAGE_H_
