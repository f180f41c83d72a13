// What the fuzz targets of requests and responses have in common: readings of the same bytes, to be
// compared.
#ifndef WEFT_SIDECAR_HTTP_H1_FUZZ_READING_H_
#define WEFT_SIDECAR_HTTP_H1_FUZZ_READING_H_

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "sidecar/http/h1/head_writer.h"
#include "sidecar/http/h1/parser.h"
#include "sidecar/io/buffer.h"

namespace weft::http::h1 {

// What a message says to whoever reads it.
struct Reading {
  bool head_complete = false;
  bool complete = false;
  int refused = 0;
  std::string head;  // all of it, as text
  std::string body;
  std::string trailers;
  size_t used = 0;

  bool operator==(const Reading&) const = default;
};

inline void Demand(bool holds, std::string_view what) {
  if (holds) return;
  std::cerr << what << '\n';
  std::abort();
}

inline std::string TextOf(const Headers& headers) {
  std::string text;
  for (const Headers::Field field : headers) {
    text.append(field.name).append(":").append(field.value).append("\n");
  }
  return text;
}

inline std::string TextOf(std::optional<uint64_t> length) {
  return length ? std::to_string(*length) : "-";
}

inline std::string TextOf(const RequestHead& head) {
  return head.method + " " + head.authority + " " + head.path + " " + TextOf(head.content_length) +
         " " + std::to_string(head.has_body) + " " + head.upgrade + "\n" + TextOf(head.headers);
}

inline std::string TextOf(const ResponseHead& head) {
  return std::to_string(head.status) + " " + TextOf(head.content_length) + " " +
         std::to_string(head.has_body) + " " + head.upgrade + "\n" + TextOf(head.headers);
}

// Reads one message in the pieces that `next_size` gives, then the end of the stream if
// `then_ends`.
template <typename NextSize>
Reading Read(Parser& parser, bool of_request, std::string_view bytes, bool then_ends,
             NextSize next_size) {
  Reading reading;
  while (reading.used < bytes.size() && !parser.failed() && !parser.message_complete()) {
    // In memory of its own: reading beyond it is seen.
    const std::string piece(bytes.substr(reading.used, next_size()));
    const size_t used = parser.Parse(io::AsBytes(piece));
    Demand(used <= piece.size(), "more was used than there was");
    Demand(used > 0 || parser.failed(), "nothing was used");
    reading.used += used;
    reading.body += io::AsText(parser.body());
    parser.ConsumeBody(parser.body().size());
  }
  if (then_ends) parser.ParseEnd();
  reading.head_complete = parser.head_complete();
  reading.complete = parser.message_complete();
  reading.refused = parser.failed() ? 1 : 0;
  // How much of what is refused was read does not matter, but how much of it was passed on.
  if (parser.failed()) reading.used = 0;
  if (reading.head_complete) {
    reading.head = of_request ? TextOf(parser.request()) : TextOf(parser.response());
  }
  if (reading.complete) reading.trailers = TextOf(parser.trailers());
  return reading;
}

// A body as it goes out behind a head that says `framing`.
inline void AppendBody(Framing framing, std::string_view body, std::string_view trailers,
                       std::string* out) {
  if (framing != Framing::kChunked) {
    out->append(body);
    return;
  }
  // Two chunks.
  for (const std::string_view chunk :
       {body.substr(0, body.size() / 2), body.substr(body.size() / 2)}) {
    if (chunk.empty()) continue;
    char size[20];
    std::snprintf(size, sizeof(size), "%zx\r\n", chunk.size());
    out->append(size).append(chunk).append("\r\n");
  }
  out->append("0\r\n").append(trailers).append("\r\n");
}

// Sizes of pieces: small ones, and now and then a large one.
class PieceSizes {
 public:
  explicit PieceSizes(std::string_view seed) : state_(std::hash<std::string_view>()(seed) | 1) {}
  size_t operator()() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    const size_t choice = state_ >> 60;
    return choice == 0 ? 1000 : 1 + (choice & 3);
  }

 private:
  uint64_t state_;
};

// The fields that frame or route a message are never among those that are passed on.
inline void DemandNoHopFields(const Headers& headers) {
  for (const std::string_view name :
       {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade",
        "proxy-connection", "http2-settings"}) {
    Demand(!headers.Has(name) || name == "host", name);
  }
  for (const Headers::Field field : headers) {
    for (const std::string_view text : {field.name, field.value}) {
      Demand(text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos,
             "a field that is more than one line");
    }
  }
}

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_FUZZ_READING_H_
