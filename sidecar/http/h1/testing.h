// For tests of the parser.
#ifndef WEFT_SIDECAR_HTTP_H1_TESTING_H_
#define WEFT_SIDECAR_HTTP_H1_TESTING_H_

#include <algorithm>
#include <string>
#include <string_view>

#include "sidecar/http/h1/parser.h"
#include "sidecar/io/buffer.h"

namespace weft::http::h1 {

struct Fed {
  std::string body;
  size_t used = 0;  // bytes that the message took
};

// Feeds `text` in pieces of `step` bytes, as a network may, until the message is complete, refused
// or the text has ended.
inline Fed Feed(Parser& parser, std::string_view text, size_t step = 1'000'000) {
  Fed fed;
  while (!parser.failed() && !parser.message_complete() && fed.used < text.size()) {
    // Each piece in memory of its own: a sanitizer sees what is read beyond it.
    const std::string piece(text.substr(fed.used, step));
    fed.used += parser.Parse(io::AsBytes(piece));
    fed.body += io::AsText(parser.body());
    parser.ConsumeBody(parser.body().size());
  }
  return fed;
}

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_TESTING_H_
