// Responses as bytes, to GET and to HEAD (the first byte tells): as with requests.
#include <cstdint>
#include <string>
#include <string_view>

#include "sidecar/http/h1/fuzz_reading.h"
#include "sidecar/http/h1/second_reader.h"

namespace weft::http::h1 {
namespace {

constexpr bool kOfRequest = false;

void Try(bool to_head, std::string_view bytes) {
  Parser whole(Parser::Kind::kResponse, {});
  whole.Start(to_head);
  const Reading reading = Read(whole, kOfRequest, bytes, true, [&] { return bytes.size(); });
  Parser split(Parser::Kind::kResponse, {});
  split.Start(to_head);
  const Reading in_pieces = Read(split, kOfRequest, bytes, true, PieceSizes(bytes));
  Demand(reading == in_pieces, "pieces are read otherwise than the whole");
  if (!reading.head_complete) return;
  const ResponseHead& response = whole.response();
  DemandNoHopFields(response.headers);
  if (!reading.complete) return;
  DemandNoHopFields(whole.trailers());

  io::Buffer head;
  const Framing framing = WriteResponseHead(response, {.to_head = to_head}, &head);
  std::string written(head.text());
  std::string trailers;
  for (const Headers::Field field : whole.trailers()) {
    trailers.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  AppendBody(framing, reading.body, trailers, &written);
  const size_t size = written.size();
  written += "HTTP/1.1 200 OK\r\n";
  Parser again(Parser::Kind::kResponse, {});
  again.Start(to_head);
  Reading second = Read(again, kOfRequest, written, false, [&] { return written.size(); });
  Demand(second.used == size, "what was written ends elsewhere");
  second.used = reading.used;
  Demand(second == reading, "what was written is read otherwise");

  const SecondReading theirs = ReadWithLlhttp(kOfRequest, to_head, written);
  if (theirs.accepted && response.status != 101) {
    Demand(theirs.body == reading.body, "llhttp reads another body");
    Demand(theirs.used == size, "llhttp sees the end elsewhere");
  }
}

}  // namespace
}  // namespace weft::http::h1

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  weft::http::h1::Try(data[0] == 'h', {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
