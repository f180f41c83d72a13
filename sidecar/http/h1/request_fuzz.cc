// Requests as bytes: whatever comes is refused, or read in one way however it is cut into pieces,
// and written so that it is read in that way again.
#include <cstdint>
#include <string>
#include <string_view>

#include "sidecar/http/h1/fuzz_reading.h"
#include "sidecar/http/h1/second_reader.h"

namespace weft::http::h1 {
namespace {

constexpr bool kOfRequest = true;

void Try(std::string_view bytes) {
  Parser whole(Parser::Kind::kRequest, {});
  const Reading reading = Read(whole, kOfRequest, bytes, true, [&] { return bytes.size(); });
  Parser split(Parser::Kind::kRequest, {});
  const Reading in_pieces = Read(split, kOfRequest, bytes, true, PieceSizes(bytes));
  Demand(reading == in_pieces, "pieces are read otherwise than the whole");
  if (!reading.head_complete) return;
  const RequestHead& request = whole.request();
  DemandNoHopFields(request.headers);
  Demand(request.version == Version::kHttp10 || !request.authority.empty() ||
             bytes.find(':') != std::string_view::npos,
         "no authority");
  if (!reading.complete) return;
  DemandNoHopFields(whole.trailers());

  io::Buffer head;
  const Framing framing = WriteRequestHead(request, &head);
  std::string written(head.text());
  std::string trailers;
  for (const Headers::Field field : whole.trailers()) {
    trailers.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  AppendBody(framing, reading.body, trailers, &written);
  // Whatever follows belongs to the next.
  const size_t size = written.size();
  written += "GET / HTTP/1.1\r\n";
  Parser again(Parser::Kind::kRequest, {});
  Reading second = Read(again, kOfRequest, written, false, [&] { return written.size(); });
  Demand(second.used == size, "what was written ends elsewhere");
  second.used = reading.used;
  Demand(second == reading, "what was written is read otherwise");

  // llhttp knows fewer methods; what it takes, it must take for the same.
  const SecondReading theirs = ReadWithLlhttp(kOfRequest, false, written);
  if (theirs.accepted && request.upgrade.empty() && request.method != "CONNECT") {
    Demand(theirs.body == reading.body, "llhttp reads another body");
    Demand(theirs.used == size, "llhttp sees the end elsewhere");
  }
}

}  // namespace
}  // namespace weft::http::h1

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::http::h1::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
